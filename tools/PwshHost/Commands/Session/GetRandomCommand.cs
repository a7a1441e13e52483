using System.Management.Automation;
using PwshHost.Commands.Objects;

namespace PwshHost.Commands.Session;

[Cmdlet(VerbsCommon.Get, "Random")]
public sealed class GetRandomCommand : PipelineCommand
{
    private static Random _random = Random.Shared;

    /// <summary>Exclusive.</summary>
    [Parameter(Position = 0)]
    public object? Maximum { get; set; }

    [Parameter]
    public object? Minimum { get; set; }

    [Parameter]
    public int Count { get; set; } = 1;

    [Parameter]
    public SwitchParameter Shuffle { get; set; }

    /// <summary>Makes this and all later calls repeatable.</summary>
    [Parameter]
    public int? SetSeed { get; set; }

    protected override void EndProcessing()
    {
        _random = SetSeed is { } seed ? new Random(seed) : _random;
        if (Items.Count > 0)
        {
            PSObject[] items = [.. Items.SelectMany(i => LanguagePrimitives.GetEnumerable(i)?.Cast<object>().Select(PSObject.AsPSObject) ?? [i])];
            _random.Shuffle(items);
            WriteObject(Shuffle ? items : items.Take(Count), enumerateCollection: true);
            return;
        }

        for (int i = 0; i < Count; i++)
        {
            Draw();
        }
    }

    private void Draw()
    {
        if (Minimum is double || Maximum is double)
        {
            double low = LanguagePrimitives.ConvertTo<double>(Minimum ?? 0.0);
            double high = LanguagePrimitives.ConvertTo<double>(Maximum ?? double.MaxValue);
            WriteObject(low + (_random.NextDouble() * (high - low)));
            return;
        }

        long value = _random.NextInt64(
            LanguagePrimitives.ConvertTo<long>(Minimum ?? 0L), LanguagePrimitives.ConvertTo<long>(Maximum ?? (long)int.MaxValue));
        WriteObject(value == (int)value ? (int)value : value as object);
    }
}

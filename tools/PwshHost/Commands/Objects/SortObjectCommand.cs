using System.Management.Automation;

namespace PwshHost.Commands.Objects;

[Cmdlet("Sort", "Object")]
public sealed class SortObjectCommand : PipelineCommand
{
    [Parameter(Position = 0)]
    public object[] Property { get; set; } = [];

    [Parameter]
    public SwitchParameter Descending { get; set; }

    [Parameter]
    public SwitchParameter Unique { get; set; }

    [Parameter]
    public SwitchParameter CaseSensitive { get; set; }

    [Parameter]
    public SwitchParameter Stable { get; set; }

    [Parameter]
    public int? Top { get; set; }

    [Parameter]
    public int? Bottom { get; set; }

    protected override void EndProcessing()
    {
        var comparer = new ValueComparer(!CaseSensitive);
        ObjectExpression[] keys = [.. Property.Select(p => new ObjectExpression(p))];

        IOrderedEnumerable<PSObject> sorted = Items.Order(Comparer<PSObject>.Create((_, _) => 0));
        if (keys.Length == 0)
        {
            sorted = Descending ? Items.OrderByDescending(Whole, comparer) : Items.OrderBy(Whole, comparer);
        }

        foreach (ObjectExpression key in keys)
        {
            sorted = key.Descending ?? Descending
                ? sorted.ThenByDescending(key.Value, comparer)
                : sorted.ThenBy(key.Value, comparer);
        }

        IEnumerable<PSObject> result = sorted;
        if (Unique)
        {
            result = result.DistinctBy(item => string.Join('\0', keys.Length == 0 ? [item.ToString()] : keys.Select(k => k.Value(item)?.ToString())),
                CaseSensitive ? StringComparer.Ordinal : StringComparer.OrdinalIgnoreCase);
        }

        result = Top is { } top ? result.Take(top) : result;
        result = Bottom is { } bottom ? result.TakeLast(bottom) : result;
        WriteObject(result, enumerateCollection: true);
    }

    private static object? Whole(PSObject item) => item;
}

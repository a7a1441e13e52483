using System.Management.Automation;

namespace PwshHost.Commands.Objects;

[Cmdlet(VerbsDiagnostic.Measure, "Object")]
public sealed class MeasureObjectCommand : PipelineCommand
{
    [Parameter(Position = 0)]
    public string[] Property { get; set; } = [];

    [Parameter]
    public SwitchParameter Sum { get; set; }

    [Parameter]
    public SwitchParameter Average { get; set; }

    [Parameter]
    public SwitchParameter Minimum { get; set; }

    [Parameter]
    public SwitchParameter Maximum { get; set; }

    [Parameter]
    public SwitchParameter AllStats { get; set; }

    [Parameter]
    public SwitchParameter Line { get; set; }

    protected override void EndProcessing()
    {
        if (Line)
        {
            var lines = new PSObject();
            lines.Properties.Add(new PSNoteProperty("Lines", Items.Sum(i => i.ToString()!.TrimEnd('\n').Split('\n').Length)));
            WriteObject(lines);
            return;
        }

        foreach (string? name in Property.DefaultIfEmpty())
        {
            WriteObject(Measure(name));
        }
    }

    private PSObject Measure(string? name)
    {
        List<object?> values = name is null
            ? [.. Items]
            : [.. Items.Where(i => i.Properties[name] is not null).Select(i => i.Properties[name].Value)];
        double[] numbers = Sum || Average || AllStats ? [.. values.Select(v => LanguagePrimitives.ConvertTo<double>(v))] : [];
        var comparer = new ValueComparer(ignoreCase: true);

        var result = new PSObject();
        Add("Count", values.Count);
        Add("Average", (Average || AllStats) && numbers.Length > 0 ? numbers.Average() : null);
        Add("Sum", Sum || AllStats ? numbers.Sum() : null);
        Add("Maximum", Maximum || AllStats ? values.Max(comparer) : null);
        Add("Minimum", Minimum || AllStats ? values.Min(comparer) : null);
        Add("Property", name);
        return result;

        void Add(string property, object? value) => result.Properties.Add(new PSNoteProperty(property, value));
    }
}

using System.Management.Automation;

namespace PwshHost.Commands.Objects;

[Cmdlet(VerbsData.Compare, "Object")]
public sealed class CompareObjectCommand : PSCmdlet
{
    private readonly List<PSObject> _differences = [];

    [Parameter(Mandatory = true, Position = 0)]
    [AllowEmptyCollection]
    public PSObject[] ReferenceObject { get; set; } = [];

    [Parameter(Mandatory = true, Position = 1, ValueFromPipeline = true)]
    [AllowEmptyCollection]
    public PSObject[] DifferenceObject { get; set; } = [];

    [Parameter]
    public object[] Property { get; set; } = [];

    [Parameter]
    public SwitchParameter IncludeEqual { get; set; }

    [Parameter]
    public SwitchParameter ExcludeDifferent { get; set; }

    [Parameter]
    public SwitchParameter CaseSensitive { get; set; }

    [Parameter]
    public SwitchParameter PassThru { get; set; }

    protected override void ProcessRecord() => _differences.AddRange(DifferenceObject);

    protected override void EndProcessing()
    {
        ObjectExpression[] keys = [.. Property.Select(p => new ObjectExpression(p))];
        var comparer = new ValueComparer(!CaseSensitive);
        List<PSObject> missing = [.. ReferenceObject];
        List<PSObject> extra = [];
        foreach (PSObject item in _differences)
        {
            int match = missing.FindIndex(other => keys.Length == 0
                ? comparer.Equals(other, item)
                : keys.All(k => comparer.Equals(k.Value(other), k.Value(item))));
            if (match < 0)
            {
                extra.Add(item);
                continue;
            }

            missing.RemoveAt(match);
            if (IncludeEqual)
            {
                Write(item, "==", keys);
            }
        }

        if (!ExcludeDifferent)
        {
            extra.ForEach(item => Write(item, "=>", keys));
            missing.ForEach(item => Write(item, "<=", keys));
        }
    }

    private void Write(PSObject item, string side, ObjectExpression[] keys)
    {
        PSObject result = PassThru ? item : new PSObject();
        if (!PassThru)
        {
            foreach ((string name, object? value) in keys.Length == 0 ? [new("InputObject", item)] : keys.SelectMany(k => k.Resolve(item)))
            {
                result.Properties.Add(new PSNoteProperty(name, value));
            }
        }

        result.Properties.Add(new PSNoteProperty("SideIndicator", side));
        WriteObject(result);
    }
}

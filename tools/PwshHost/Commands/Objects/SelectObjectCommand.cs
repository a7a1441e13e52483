using System.Management.Automation;

namespace PwshHost.Commands.Objects;

[Cmdlet(VerbsCommon.Select, "Object")]
public sealed class SelectObjectCommand : PipelineCommand
{
    private static readonly IEqualityComparer<object?> ItemComparer = EqualityComparer<object?>.Create((x, y) =>
        x is PSObject { BaseObject: PSCustomObject } left && y is PSObject { BaseObject: PSCustomObject } right
            ? left.Properties.Select(p => (p.Name, p.Value)).SequenceEqual(right.Properties.Select(p => (p.Name, p.Value)))
            : new ValueComparer(ignoreCase: false).Equals(x, y));

    [Parameter(Position = 0)]
    public object[] Property { get; set; } = [];

    [Parameter]
    public string[] ExcludeProperty { get; set; } = [];

    [Parameter]
    public string? ExpandProperty { get; set; }

    [Parameter]
    public int? First { get; set; }

    [Parameter]
    public int? Last { get; set; }

    [Parameter]
    public int Skip { get; set; }

    [Parameter]
    public int SkipLast { get; set; }

    [Parameter]
    public int[]? Index { get; set; }

    [Parameter]
    public SwitchParameter Unique { get; set; }

    protected override void ProcessRecord()
    {
        base.ProcessRecord();
        if (First is { } first && Last is null && SkipLast == 0 && !Unique && Items.Count == Skip + first)
        {
            EndProcessing();
            throw StopUpstream();
        }
    }

    protected override void EndProcessing()
    {
        ObjectExpression[] expressions = [.. Property.Select(p => new ObjectExpression(p))];
        if (expressions.Length == 0 && ExcludeProperty.Length > 0)
        {
            expressions = [new ObjectExpression("*")];
        }

        List<object?> seen = [];
        foreach (PSObject item in Choose().SelectMany(item => Shape(item, expressions)))
        {
            if (Unique)
            {
                if (seen.Contains(item, ItemComparer))
                {
                    continue;
                }

                seen.Add(item);
            }

            WriteObject(item);
        }
    }

    // The engine has an exception for it that only its own cmdlets can name.
    private Exception StopUpstream() => (Exception)Activator.CreateInstance(
        typeof(PSCmdlet).Assembly.GetType("System.Management.Automation.StopUpstreamCommandsException", throwOnError: true)!, this)!;

    private IEnumerable<PSObject> Choose()
    {
        if (Index is not null)
        {
            return Index.Where(i => i < Items.Count && i >= -Items.Count).Select(i => Items[i < 0 ? i + Items.Count : i]);
        }

        if (First is null && Last is not null)
        {
            return Items.SkipLast(Skip).TakeLast(Last.Value);
        }

        IEnumerable<PSObject> rest = Items.Skip(Skip).SkipLast(SkipLast);
        if (First is null)
        {
            return rest;
        }

        return Last is null ? rest.Take(First.Value) : rest.Take(First.Value).Concat(rest.Skip(First.Value).TakeLast(Last.Value));
    }

    private IEnumerable<PSObject> Shape(PSObject item, ObjectExpression[] expressions)
    {
        if (ExpandProperty is not null)
        {
            object? value = new ObjectExpression(ExpandProperty).Value(item);
            if (value is null && item.Properties[ExpandProperty] is null)
            {
                WriteError(new ErrorRecord(
                    new PSArgumentException($"Property \"{ExpandProperty}\" cannot be found."), "ExpandPropertyNotFound", ErrorCategory.InvalidArgument, item));
                return [];
            }

            return LanguagePrimitives.GetEnumerable(value)?.Cast<object?>().Where(v => v is not null).Select(PSObject.AsPSObject!)
                ?? (value is null ? [] : [PSObject.AsPSObject(value)]);
        }

        return expressions.Length == 0 ? [item] : [Project(item, expressions)];
    }

    private PSObject Project(PSObject item, ObjectExpression[] expressions)
    {
        WildcardPattern[] excluded = [.. ExcludeProperty.Select(p => WildcardPattern.Get(p, WildcardOptions.IgnoreCase))];
        var result = new PSObject();
        foreach ((string name, object? value) in expressions.SelectMany(e => e.Resolve(item)))
        {
            if (!excluded.Any(p => p.IsMatch(name)) && result.Properties[name] is null)
            {
                result.Properties.Add(new PSNoteProperty(name, value));
            }
        }

        // Tells the formatter that the type's own view no longer fits, as pwsh does.
        result.TypeNames.Insert(0, "Selected." + item.TypeNames[0]);
        return result;
    }
}

using System.Collections;
using System.Collections.ObjectModel;
using System.Management.Automation;

namespace PwshHost.Commands.Objects;

[Cmdlet(VerbsData.Group, "Object")]
public sealed class GroupObjectCommand : PipelineCommand
{
    [Parameter(Position = 0)]
    public object[] Property { get; set; } = [];

    [Parameter]
    public SwitchParameter NoElement { get; set; }

    [Parameter]
    [Alias("AHT")]
    public SwitchParameter AsHashTable { get; set; }

    [Parameter]
    public SwitchParameter AsString { get; set; }

    [Parameter]
    public SwitchParameter CaseSensitive { get; set; }

    protected override void EndProcessing()
    {
        StringComparer comparer = CaseSensitive ? StringComparer.Ordinal : StringComparer.OrdinalIgnoreCase;
        ObjectExpression[] keys = [.. Property.Select(p => new ObjectExpression(p))];
        var groups = Items
            .Select(item => (Item: item, Values: keys.Length == 0 ? [item.BaseObject] : keys.Select(k => k.Value(item)).ToArray()))
            .GroupBy(pair => string.Join(", ", pair.Values), comparer)
            .ToList();

        if (AsHashTable)
        {
            var table = new Hashtable(comparer);
            foreach (var group in groups)
            {
                object key = AsString || keys.Length != 1 ? group.Key : group.First().Values[0] ?? group.Key;
                table[key is PSObject wrapped ? wrapped.BaseObject : key] = new Collection<PSObject>([.. group.Select(p => p.Item)]);
            }

            WriteObject(table);
            return;
        }

        foreach (var group in groups.OrderBy(g => g.Key, comparer))
        {
            var result = new PSObject();
            result.Properties.Add(new PSNoteProperty("Count", group.Count()));
            result.Properties.Add(new PSNoteProperty("Name", group.Key));
            result.Properties.Add(new PSNoteProperty("Values", new ArrayList(group.First().Values)));
            if (!NoElement)
            {
                result.Properties.Add(new PSNoteProperty("Group", new Collection<PSObject>([.. group.Select(p => p.Item)])));
            }

            result.TypeNames.Insert(0, "Microsoft.PowerShell.Commands.GroupInfo" + (NoElement ? "NoElement" : string.Empty));
            WriteObject(result);
        }
    }
}

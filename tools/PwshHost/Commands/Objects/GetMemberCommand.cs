using System.Management.Automation;

namespace PwshHost.Commands.Objects;

[Cmdlet(VerbsCommon.Get, "Member")]
public sealed class GetMemberCommand : PipelineCommand
{
    [Parameter(Position = 0)]
    public string[] Name { get; set; } = ["*"];

    [Parameter]
    [Alias("Type")]
    public PSMemberTypes MemberType { get; set; } = PSMemberTypes.All;

    protected override void EndProcessing()
    {
        WildcardPattern[] names = [.. Name.Select(n => WildcardPattern.Get(n, WildcardOptions.IgnoreCase))];
        foreach (PSObject item in Items.DistinctBy(i => i.TypeNames[0]))
        {
            IEnumerable<PSMemberInfo> members = item.Members
                .Where(m => MemberType.HasFlag(m.MemberType) && names.Any(n => n.IsMatch(m.Name)))
                .Where(m => !m.Name.StartsWith("get_", StringComparison.Ordinal) && !m.Name.StartsWith("set_", StringComparison.Ordinal))
                .OrderBy(m => m.MemberType)
                .ThenBy(m => m.Name, StringComparer.OrdinalIgnoreCase);
            foreach (PSMemberInfo member in members)
            {
                var result = new PSObject();
                result.Properties.Add(new PSNoteProperty("TypeName", item.TypeNames[0]));
                result.Properties.Add(new PSNoteProperty("Name", member.Name));
                result.Properties.Add(new PSNoteProperty("MemberType", member.MemberType));
                result.Properties.Add(new PSNoteProperty("Definition", member.ToString()));
                result.TypeNames.Insert(0, "Microsoft.PowerShell.Commands.MemberDefinition");
                WriteObject(result);
            }
        }
    }
}

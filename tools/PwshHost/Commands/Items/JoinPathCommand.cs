using System.Management.Automation;

namespace PwshHost.Commands.Items;

[Cmdlet(VerbsCommon.Join, "Path")]
public sealed class JoinPathCommand : PSCmdlet
{
    [Parameter(Mandatory = true, Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    public string[] Path { get; set; } = [];

    [Parameter(Mandatory = true, Position = 1)]
    [AllowEmptyString]
    public string ChildPath { get; set; } = string.Empty;

    [Parameter(Position = 2, ValueFromRemainingArguments = true)]
    public string[] AdditionalChildPath { get; set; } = [];

    [Parameter]
    public SwitchParameter Resolve { get; set; }

    protected override void ProcessRecord()
    {
        foreach (string path in Path)
        {
            string joined = AdditionalChildPath.Prepend(ChildPath).Aggregate(path, SessionState.Path.Combine);
            if (Resolve)
            {
                WriteObject(SessionState.Path.GetResolvedPSPathFromPSPath(joined).Select(p => p.Path), enumerateCollection: true);
            }
            else
            {
                WriteObject(joined);
            }
        }
    }
}

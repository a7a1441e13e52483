using System.Management.Automation;

namespace PwshHost.Commands.Session;

[Cmdlet(VerbsCommon.New, "TemporaryFile")]
public sealed class NewTemporaryFileCommand : PSCmdlet
{
    protected override void EndProcessing() => WriteObject(new FileInfo(Path.GetTempFileName()));
}

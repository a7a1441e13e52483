using System.Management.Automation;

namespace PwshHost.Commands.Items;

[Cmdlet(VerbsCommon.Get, "Location")]
public sealed class GetLocationCommand : PSCmdlet
{
    protected override void EndProcessing() => WriteObject(SessionState.Path.CurrentLocation);
}

[Cmdlet(VerbsCommon.Set, "Location")]
public sealed class SetLocationCommand : PSCmdlet
{
    [Parameter(Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [Alias("LiteralPath", "PSPath")]
    public string Path { get; set; } = "~";

    protected override void ProcessRecord() => SessionState.Path.SetLocation(Path);
}

[Cmdlet(VerbsCommon.Push, "Location")]
public sealed class PushLocationCommand : PSCmdlet
{
    [Parameter(Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [Alias("LiteralPath", "PSPath")]
    public string? Path { get; set; }

    protected override void ProcessRecord()
    {
        SessionState.Path.PushCurrentLocation(null);
        if (Path is not null)
        {
            SessionState.Path.SetLocation(Path);
        }
    }
}

[Cmdlet(VerbsCommon.Pop, "Location")]
public sealed class PopLocationCommand : PSCmdlet
{
    protected override void EndProcessing() => SessionState.Path.PopLocation(null);
}

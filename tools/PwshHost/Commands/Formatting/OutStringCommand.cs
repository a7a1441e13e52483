using System.Management.Automation;
using PwshHost.Commands.Objects;

namespace PwshHost.Commands.Formatting;

[Cmdlet(VerbsData.Out, "String")]
public sealed class OutStringCommand : PipelineCommand
{
    [Parameter]
    public SwitchParameter Stream { get; set; }

    [Parameter]
    public int? Width { get; set; }

    [Parameter]
    public SwitchParameter NoNewline { get; set; }

    protected override void EndProcessing()
    {
        string text = HostText.Of(this, Items, Width);
        if (Stream)
        {
            WriteObject(HostText.Lines(text), enumerateCollection: true);
        }
        else
        {
            WriteObject(NoNewline ? text.ReplaceLineEndings(string.Empty) : text);
        }
    }
}

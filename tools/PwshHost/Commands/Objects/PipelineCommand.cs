using System.Management.Automation;

namespace PwshHost.Commands.Objects;

/// <summary>A command that looks at its whole input at once.</summary>
public abstract class PipelineCommand : PSCmdlet
{
    private protected List<PSObject> Items { get; } = [];

    [Parameter(ValueFromPipeline = true)]
    public PSObject? InputObject { get; set; }

    protected override void ProcessRecord()
    {
        if (InputObject is not null)
        {
            Items.Add(InputObject);
        }
    }
}

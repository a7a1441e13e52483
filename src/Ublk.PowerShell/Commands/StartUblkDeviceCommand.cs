using System.Management.Automation;
using Ublk.Devices;

namespace Ublk.PowerShell.Commands;

/// <summary>Starts devices that were stopped, or whose worker crashed.</summary>
[Cmdlet(VerbsLifecycle.Start, "UblkDevice", DefaultParameterSetName = "Id", SupportsShouldProcess = true)]
[OutputType(typeof(UblkDevice))]
public sealed class StartUblkDeviceCommand : UblkDeviceCommand
{
    /// <summary>Accepts a file behind the disk that does not look like the one it had.</summary>
    [Parameter]
    public SwitchParameter AcceptFile { get; set; }

    /// <inheritdoc/>
    protected override string Action => "Start ublk device";

    /// <inheritdoc/>
    protected override void Apply(int id, Action<string> step)
    {
        Serve(id, step, AcceptFile, DeviceState.Stopped, DeviceState.Crashed);
        WriteDevice(id);
    }
}

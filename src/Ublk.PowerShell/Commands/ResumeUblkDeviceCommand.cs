using System.Management.Automation;
using Ublk.Devices;

namespace Ublk.PowerShell.Commands;

/// <summary>Resumes suspended devices.</summary>
[Cmdlet(VerbsLifecycle.Resume, "UblkDevice", DefaultParameterSetName = "Id", SupportsShouldProcess = true)]
[OutputType(typeof(UblkDevice))]
public sealed class ResumeUblkDeviceCommand : UblkDeviceCommand
{
    /// <inheritdoc/>
    protected override string Action => "Resume ublk device";

    /// <inheritdoc/>
    protected override void Apply(int id, Action<string> step)
    {
        Serve(id, step, acceptFiles: false, DeviceState.Suspended);
        WriteDevice(id);
    }
}

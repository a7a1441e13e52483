using System.Management.Automation;
using Ublk.Devices;
using Ublk.Launching;
using Ublk.Lifecycle;

namespace Ublk.PowerShell.Commands;

/// <summary>Changes the size of live disks, with that of what is behind them.</summary>
[Cmdlet(VerbsCommon.Resize, "UblkDevice", DefaultParameterSetName = "Id", SupportsShouldProcess = true)]
[OutputType(typeof(UblkDevice))]
public sealed class ResizeUblkDeviceCommand : UblkDeviceCommand
{
    /// <summary>The new size in bytes; by default the size that what is behind the disk has now.</summary>
    [Parameter]
    public long? Size { get; set; }

    /// <summary>Lets the disk, or what is behind it, lose its end.</summary>
    [Parameter]
    public SwitchParameter AllowShrink { get; set; }

    /// <inheritdoc/>
    protected override string Action => "Resize ublk device";

    /// <inheritdoc/>
    protected override void Apply(int id, Action<string> step)
    {
        if (ImageDiskResizer.IsFor(id))
        {
            ImageDiskResizer.Resize(id, Size, AllowShrink, WorkerDirectory, step, StopToken);
        }
        else
        {
            DeviceResizer.Resize(id, Size, AllowShrink, WorkerDirectory, step, StopToken);
        }

        WriteDevice(id);
    }
}

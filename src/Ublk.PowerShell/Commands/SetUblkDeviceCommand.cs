using System.Management.Automation;
using Ublk.Devices;
using Ublk.Lifecycle;

namespace Ublk.PowerShell.Commands;

/// <summary>Changes live devices: the CPUs of their threads, and whether their disks take writes.</summary>
[Cmdlet(VerbsCommon.Set, "UblkDevice", DefaultParameterSetName = "Id", SupportsShouldProcess = true)]
[OutputType(typeof(UblkDevice))]
public sealed class SetUblkDeviceCommand : UblkDeviceCommand
{
    /// <summary>CPU lists: one for all queues, or one for each.</summary>
    [Parameter]
    [ArgumentCompleter(typeof(CpuListCompleter))]
    [ValidateNotNullOrEmpty]
    public string[]? QueueAffinity { get; set; }

    /// <summary>Makes the disk refuse writes, or with $false take them again.</summary>
    [Parameter]
    public SwitchParameter ReadOnly { get; set; }

    /// <inheritdoc/>
    protected override string Action => "Set ublk device";

    private bool IsReadOnlyGiven => MyInvocation.BoundParameters.ContainsKey(nameof(ReadOnly));

    /// <inheritdoc/>
    protected override void BeginProcessing() => Require(null, () =>
    {
        if (QueueAffinity is null && !IsReadOnlyGiven)
        {
            throw new UblkException(UblkError.InvalidArgument, "There is nothing to change. Give -QueueAffinity or -ReadOnly.");
        }
    });

    /// <inheritdoc/>
    protected override void Apply(int id, Action<string> step)
    {
        if (QueueAffinity is not null)
        {
            step($"Moving the threads of device {id}.");
            DeviceAffinity.Set(id, QueueAffinity, StopToken);
        }

        if (IsReadOnlyGiven)
        {
            step($"Making {(ReadOnly ? "the disk refuse writes" : "the disk take writes")}.");
            DeviceWriteAccess.Set(id, ReadOnly);
        }

        WriteDevice(id);
    }
}

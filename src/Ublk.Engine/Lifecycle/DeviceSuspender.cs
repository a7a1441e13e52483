using Ublk.Control;
using Ublk.Devices;
using Ublk.Interop;
using Ublk.Specification;

namespace Ublk.Lifecycle;

/// <summary>Sends a live device's worker away, while the disk stays and its requests wait for the next worker.</summary>
internal static class DeviceSuspender
{
    // Requests that a worker holds keep it from leaving.
    private static readonly TimeSpan QuiesceTimeout = TimeSpan.FromSeconds(30);

    /// <summary>Suspends a device.</summary>
    /// <param name="id">The device.</param>
    /// <param name="step">Called with a sentence for each step, on the calling thread.</param>
    /// <param name="cancellation">Gives up before the driver is asked.</param>
    /// <exception cref="UblkException">It is not ours, not live, or cannot wait for a worker; or its worker does not leave it.</exception>
    public static void Suspend(int id, Action<string>? step, CancellationToken cancellation)
    {
        using ControlDevice control = new();
        DeviceRecord record = DeviceTransitions.RecordOf(control, id);
        UblkDeviceInfo info = control.GetInfo(id);
        RequireSuspendable(id, record, info);
        cancellation.ThrowIfCancellationRequested();
        step?.Invoke($"Suspending device {id}, served by process {info.ServerPid}.");
        int result = control.TryQuiesce(id, QuiesceTimeout);
        if (result < 0)
        {
            throw result is -Libc.EBUSY or -Libc.ETIMEDOUT ? Stuck(id, info.ServerPid) : DriverError.ForCommand(-result, "QUIESCE_DEV", id);
        }

        step?.Invoke($"Waiting for process {info.ServerPid} to end.");
        DeviceTransitions.AwaitWorker(id, info.ServerPid, "suspended");
        DeviceTransitions.AwaitSupervisor(record);
        if (DeviceTransitions.AwaitServerGone(control, id, cancellation) == DriverState.Live)
        {
            throw new UblkException(UblkError.DeviceStateInvalid,
                $"Device {id} was suspended, but already has another worker: from its supervisor, if the former one was killed while "
                    + "it was being suspended, or from another command.", deviceId: id);
        }

        DeviceTransitions.MarkEnded(info);
    }

    private static void RequireSuspendable(int id, DeviceRecord record, UblkDeviceInfo info)
    {
        if (info.State != (ushort)DriverState.Live)
        {
            throw DeviceTransitions.WrongState(id, DeviceStates.Of((DriverState)info.State, record));
        }

        if (record.Specification.Recovery is RecoveryMode.None or RecoveryMode.Fail)
        {
            throw new UblkException(UblkError.NotSupported,
                $"The requests of device {id} would fail instead of waiting. Make it with -Recovery Queue or -Recovery Reissue.",
                    deviceId: id);
        }

        // The flag is the device's: one that a worker of an older version made may lack it.
        FeatureCatalog.Require((UblkFeatures)info.Flags, UblkFeatures.Quiesce, "Suspending or updating a device", id);
    }

    // The driver has held new requests back since, and nothing but a new server makes it let them through.
    private static UblkException Stuck(int id, int processId) => new(UblkError.TimedOut,
        $"The worker of device {id} did not complete its requests within {QuiesceTimeout.TotalSeconds} s; new requests are queued. Kill it "
            + $"(kill -KILL {processId}) and run Start-UblkDevice {id}, or wait and try again.",
        Libc.ETIMEDOUT, "QUIESCE_DEV", id);
}

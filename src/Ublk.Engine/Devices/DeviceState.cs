using Ublk.Control;

namespace Ublk.Devices;

/// <summary>Whether a device is served and, if not, why.</summary>
public enum DeviceState
{
    /// <summary>A worker serves the device.</summary>
    Live,

    /// <summary>Suspend-UblkDevice ended the worker. The disk is there; its requests wait for Resume-UblkDevice.</summary>
    Suspended,

    /// <summary>Stop-UblkDevice ended the worker and removed the disk. Start-UblkDevice creates it again.</summary>
    Stopped,

    /// <summary>
    /// The worker ended without a command. <see cref="UblkDevice.Recovery"/> determines whether requests wait, fail, or the disk is gone.
    /// Start-UblkDevice starts a new worker.
    /// </summary>
    Crashed,

    /// <summary>No process serves the device, and no record of it exists: another server's device, or one that is being created.</summary>
    Unserved,
}

/// <summary>How the driver's state and the record of a device combine.</summary>
internal static class DeviceStates
{
    /// <summary>The state of a device.</summary>
    /// <param name="driver">The driver's state.</param>
    /// <param name="record">The device's record, or null.</param>
    public static DeviceState Of(DriverState driver, DeviceRecord? record) => (driver, record) switch
    {
        (DriverState.Live, _) => DeviceState.Live,
        (_, null) => DeviceState.Unserved,
        (DriverState.Dead, { EndedByCommand: true }) => DeviceState.Stopped,
        (_, { EndedByCommand: true }) => DeviceState.Suspended,
        _ => DeviceState.Crashed,
    };
}

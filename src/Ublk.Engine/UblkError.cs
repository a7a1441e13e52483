namespace Ublk;

/// <summary>What went wrong, as a stable name: the error id users of the cmdlets see and script against.</summary>
public enum UblkError
{
    /// <summary>Another failure of the operating system; see the errno.</summary>
    OperationFailed,

    /// <summary>The kernel has no ublk driver, or it is not loaded.</summary>
    DriverMissing,

    /// <summary>The caller may not do this; most operations need root.</summary>
    PermissionDenied,

    /// <summary>An argument is out of its range, or contradicts another.</summary>
    InvalidArgument,

    /// <summary>No target has this name.</summary>
    UnknownTarget,

    /// <summary>No filter has this name.</summary>
    UnknownFilter,

    /// <summary>The target, or the filter, does not know this option.</summary>
    UnsupportedOption,

    /// <summary>The assembly holds no target that can be used here.</summary>
    PluginInvalid,

    /// <summary>The assembly is where others could have put or changed it.</summary>
    PluginNotTrusted,

    /// <summary>The backing file or directory does not exist.</summary>
    PathNotFound,

    /// <summary>The file to create already exists.</summary>
    PathExists,

    /// <summary>The backing file is a directory, a pipe or another thing that cannot back a disk.</summary>
    InvalidBackingFile,

    /// <summary>The disk image is inconsistent or violates its format.</summary>
    InvalidImage,

    /// <summary>Another device, or another program, has the backing file attached.</summary>
    BackingFileInUse,

    /// <summary>The server of a disk cannot be reached, or does not keep to the protocol.</summary>
    ConnectionFailed,

    /// <summary>The server of a disk was reached and refuses.</summary>
    ServerRefused,

    /// <summary>The image has no snapshot of this name or id.</summary>
    SnapshotNotFound,

    /// <summary>The image has a snapshot of this name.</summary>
    SnapshotExists,

    /// <summary>The image has no persistent bitmap of this name.</summary>
    BitmapNotFound,

    /// <summary>The image has a persistent bitmap of this name.</summary>
    BitmapExists,

    /// <summary>The requested device id is taken.</summary>
    DeviceIdInUse,

    /// <summary>The kernel refuses another device.</summary>
    DeviceLimitReached,

    /// <summary>No device has this id.</summary>
    DeviceNotFound,

    /// <summary>The device is mounted, held by another layer, or open.</summary>
    DeviceInUse,

    /// <summary>Another device has the name, or another file exists under it.</summary>
    NameInUse,

    /// <summary>No export has the name.</summary>
    ExportNotFound,

    /// <summary>Clients are connected to the export.</summary>
    ExportInUse,

    /// <summary>A registration has the name.</summary>
    RegistrationExists,

    /// <summary>No registration has the name.</summary>
    RegistrationNotFound,

    /// <summary>The device is not in the state that the operation needs.</summary>
    DeviceStateInvalid,

    /// <summary>Another server made the device, or its record is lost, so it cannot be served from here.</summary>
    DeviceForeign,

    /// <summary>The worker program is missing or cannot be executed.</summary>
    WorkerMissing,

    /// <summary>The worker ended before its device was live.</summary>
    WorkerDied,

    /// <summary>An operation exceeded its timeout.</summary>
    TimedOut,

    /// <summary>The run-time state directory cannot be written.</summary>
    StateDirectoryNotWritable,

    /// <summary>This kernel's driver, or this file system, lacks what was asked for by name.</summary>
    NotSupported,
}

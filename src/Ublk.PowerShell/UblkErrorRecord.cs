using System.Management.Automation;

namespace Ublk.PowerShell;

/// <summary>The engine's errors as PowerShell shows them. The error id is the name in <see cref="UblkError"/>.</summary>
internal static class UblkErrorRecord
{
    /// <summary>Makes a record.</summary>
    /// <param name="exception">What went wrong.</param>
    /// <param name="item">The id, path or target it went wrong with.</param>
    public static ErrorRecord From(UblkException exception, object? item) =>
        new(exception, exception.Error.ToString(), CategoryOf(exception.Error), item);

    private static ErrorCategory CategoryOf(UblkError error) => error switch
    {
        UblkError.DriverMissing or UblkError.WorkerMissing => ErrorCategory.NotInstalled,
        UblkError.PermissionDenied => ErrorCategory.PermissionDenied,
        UblkError.PluginNotTrusted => ErrorCategory.SecurityError,
        UblkError.InvalidArgument or UblkError.UnknownTarget or UblkError.UnknownFilter or UblkError.UnsupportedOption
            or UblkError.InvalidBackingFile or UblkError.PluginInvalid => ErrorCategory.InvalidArgument,
        UblkError.InvalidImage => ErrorCategory.InvalidData,
        UblkError.PathNotFound or UblkError.SnapshotNotFound or UblkError.DeviceNotFound or UblkError.RegistrationNotFound =>
            ErrorCategory.ObjectNotFound,
        UblkError.BackingFileInUse or UblkError.DeviceInUse => ErrorCategory.ResourceBusy,
        UblkError.DeviceStateInvalid or UblkError.DeviceForeign => ErrorCategory.InvalidOperation,
        UblkError.DeviceIdInUse or UblkError.SymlinkInUse or UblkError.RegistrationExists
            or UblkError.PathExists or UblkError.SnapshotExists => ErrorCategory.ResourceExists,
        UblkError.ConnectionFailed => ErrorCategory.ConnectionError,
        UblkError.DeviceLimitReached => ErrorCategory.LimitsExceeded,
        UblkError.TimedOut => ErrorCategory.OperationTimeout,
        UblkError.StateDirectoryNotWritable => ErrorCategory.WriteError,
        UblkError.NotSupported => ErrorCategory.NotImplemented,
        _ => ErrorCategory.OperationStopped,
    };
}

using System.Management.Automation;
using System.Text.RegularExpressions;

namespace Ublk.PowerShell;

/// <summary>The engine's errors as PowerShell shows them. The error id is the name in <see cref="UblkError"/>.</summary>
internal static partial class UblkErrorRecord
{
    /// <summary>Makes a record.</summary>
    /// <param name="exception">What went wrong.</param>
    /// <param name="item">The id, path or target it went wrong with.</param>
    public static ErrorRecord From(UblkException exception, object? item)
    {
        ErrorRecord record = new(exception, exception.Error.ToString(), CategoryOf(exception.Error), item);
        if (RemedyIn(exception.Message) is { } remedy)
        {
            record.ErrorDetails = new ErrorDetails(exception.Message) { RecommendedAction = remedy };
        }

        return record;
    }

    /// <summary>What to do about an error: the sentences of its message after the first, or null.</summary>
    internal static string? RemedyIn(string message)
    {
        // A full stop within a name or a number is not followed by a space and a capital letter.
        Match end = SentenceEnd().Match(message);
        return end.Success ? message[(end.Index + end.Length)..] : null;
    }

    [GeneratedRegex(@"\. (?=[A-Z-])")]
    private static partial Regex SentenceEnd();

    private static ErrorCategory CategoryOf(UblkError error) => error switch
    {
        UblkError.DriverMissing or UblkError.WorkerMissing => ErrorCategory.NotInstalled,
        UblkError.PermissionDenied => ErrorCategory.PermissionDenied,
        UblkError.PluginNotTrusted => ErrorCategory.SecurityError,
        UblkError.InvalidArgument or UblkError.UnknownTarget or UblkError.UnknownFilter or UblkError.UnsupportedOption
            or UblkError.InvalidBackingFile or UblkError.PluginInvalid => ErrorCategory.InvalidArgument,
        UblkError.InvalidImage => ErrorCategory.InvalidData,
        UblkError.PathNotFound or UblkError.SnapshotNotFound or UblkError.BitmapNotFound or UblkError.DeviceNotFound
            or UblkError.RegistrationNotFound or UblkError.ExportNotFound =>
            ErrorCategory.ObjectNotFound,
        UblkError.BackingFileInUse or UblkError.DeviceInUse or UblkError.ExportInUse => ErrorCategory.ResourceBusy,
        UblkError.DeviceStateInvalid or UblkError.DeviceForeign => ErrorCategory.InvalidOperation,
        UblkError.DeviceIdInUse or UblkError.NameInUse or UblkError.RegistrationExists
            or UblkError.PathExists or UblkError.SnapshotExists or UblkError.BitmapExists => ErrorCategory.ResourceExists,
        UblkError.ConnectionFailed => ErrorCategory.ConnectionError,
        UblkError.DeviceLimitReached => ErrorCategory.LimitsExceeded,
        UblkError.TimedOut => ErrorCategory.OperationTimeout,
        UblkError.StateDirectoryNotWritable => ErrorCategory.WriteError,
        UblkError.NotSupported => ErrorCategory.NotImplemented,
        _ => ErrorCategory.OperationStopped,
    };
}

using System.Globalization;
using System.Text;
using Microsoft.Win32.SafeHandles;
using Ublk.Devices;
using Ublk.Interop;
using Ublk.Processes;

namespace Ublk.Logging;

/// <summary>The log of the devices: the journal; without one, what syslog keeps and what the workers wrote themselves.</summary>
public static class DeviceLog
{
    /// <summary>Where a worker sends its messages first.</summary>
    internal const string JournalSocket = "/run/systemd/journal/socket";

    // The owner reads and writes, the group reads.
    private const int LogMode = 0x1A0;

    // Where Debian and Fedora have syslog write.
    private static readonly string[] SyslogFiles = ["/var/log/syslog", "/var/log/messages"];

    /// <summary>The log file of the caller's workers, where no logging daemon runs.</summary>
    internal static string OwnFile => Libc.GetEffectiveUserId() == 0 ? "/var/log/ublk.log" : $"{StateDirectory.Own.Path}/ublk.log";

    /// <summary>
    /// Adds to a file of lines, where it can be had. Where others may write the folder of root's, a link in its place leads nowhere.
    /// </summary>
    internal static unsafe void TryAppend(string file, string line)
    {
        using SafeFileHandle handle =
            Libc.Open(file, Libc.O_WRONLY | Libc.O_APPEND | Libc.O_CREAT | Libc.O_NOFOLLOW | Libc.O_NONBLOCK, LogMode);
        byte[] bytes = Encoding.UTF8.GetBytes(line);
        if (!handle.IsInvalid && Libc.Statx(handle, out Libc.StatxBuffer state) == 0 && state.IsRegular)
        {
            fixed (byte* start = bytes)
            {
                _ = Libc.Write((int)handle.DangerousGetHandle(), start, bytes.Length);
            }
        }
    }

    /// <summary>The lines that the caller may read, from the oldest.</summary>
    /// <param name="id">The device, or null for every one.</param>
    /// <param name="since">The time of the first one, local unless its kind is UTC; or null for all there are.</param>
    /// <exception cref="UblkException">The log is there and cannot be read.</exception>
    public static IReadOnlyList<UblkLogEntry> Read(int? id, DateTime? since)
    {
        DateTime? start = since is { Kind: DateTimeKind.Utc } utc ? utc.ToLocalTime() : since;
        IEnumerable<UblkLogEntry?> kept = Path.Exists(JournalSocket)
            ? ReadJournal(id, start).Select(LogLine.ParseJournal)
            : SyslogFiles.SelectMany(ReadFile);
        return
        [
            .. kept.Concat(ReadFile(OwnFile)).OfType<UblkLogEntry>()
                .Where(entry => (id is null || entry.Id == id) && (start is null || entry.Time >= start))
                .OrderBy(entry => entry.Time),
        ];
    }

    private static UblkLogEntry?[] ReadFile(string path)
    {
        try
        {
            DateTime now = DateTime.Now;
            return File.Exists(path) ? [.. File.ReadLines(path).Select(line => LogLine.ParseText(line, now))] : [];
        }
        catch (UnauthorizedAccessException exception)
        {
            throw new UblkException(UblkError.PermissionDenied, $"The log cannot be read: {exception.Message}", Libc.EACCES, "read log");
        }
        catch (IOException exception)
        {
            throw new UblkException(UblkError.OperationFailed, $"The log cannot be read: {exception.Message}", operation: "read log");
        }
    }

    private static string[] ReadJournal(int? id, DateTime? since)
    {
        string[] arguments =
        [
            "--quiet", "--output=json", $"--identifier={LogLine.Identifier}",
            .. id is null ? Array.Empty<string>() : [$"UBLK_DEVICE={id}"],
            .. since is { } time
                ? [$"--since={time.ToString("yyyy-MM-dd HH:mm:ss", CultureInfo.InvariantCulture)}"]
                : Array.Empty<string>(),
        ];
        return ExternalProgram.TryRun("journalctl", arguments, out string output, out string error)
            ? output.Split('\n', StringSplitOptions.RemoveEmptyEntries)
            : throw new UblkException(UblkError.OperationFailed,
                $"The log is in the journal, and journalctl failed: {error}. Try journalctl --identifier={LogLine.Identifier}.",
                operation: "journalctl");
    }
}

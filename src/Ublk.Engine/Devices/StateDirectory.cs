using System.Text.Json;
using Microsoft.Win32.SafeHandles;
using Ublk.Interop;

namespace Ublk.Devices;

/// <summary>The run-time state: one record for each device, gone with the next boot.</summary>
public static class StateDirectory
{
    /// <summary>Where the records are.</summary>
    public const string Path = "/run/ublk";

    /// <summary>The record of a device: null where there is none, or none that can be read.</summary>
    public static DeviceRecord? TryRead(int id)
    {
        try
        {
            return JsonSerializer.Deserialize(File.ReadAllBytes(RecordPath(id)), DeviceJson.Default.DeviceRecord);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or JsonException)
        {
            return null;
        }
    }

    /// <summary>Writes a record whole: a reader sees the old one or the new one, never half of one.</summary>
    /// <exception cref="UblkException">The directory cannot be written.</exception>
    internal static void Write(DeviceRecord record)
    {
        string path = RecordPath(record.Specification.Id!.Value);
        try
        {
            File.WriteAllBytes($"{path}.new", JsonSerializer.SerializeToUtf8Bytes(record, DeviceJson.Default.DeviceRecord));
            File.Move($"{path}.new", path, overwrite: true);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw NotWritable(exception);
        }
    }

    /// <summary>Removes the record of a device, unless another device has taken the id and written its own.</summary>
    internal static void Delete(int id, ulong cookie)
    {
        if (!Directory.Exists(Path))
        {
            return;
        }

        File.Delete($"{RecordPath(id)}.new");
        if (TryRead(id)?.Specification.Cookie == cookie)
        {
            File.Delete(RecordPath(id));
        }
    }

    /// <summary>Makes the directory and locks it, so that one launcher at a time chooses an id. Disposing unlocks.</summary>
    /// <exception cref="UblkException">The directory cannot be written, or the lock was not to be had in time.</exception>
    internal static SafeFileHandle Lock(TimeSpan timeout, CancellationToken cancellation)
    {
        RequireWritable();
        SafeFileHandle directory = Libc.Open(Path, Libc.O_RDONLY);
        if (directory.IsInvalid)
        {
            throw UblkException.FromErrno(Libc.LastErrno, "open", $"Cannot open {Path}");
        }

        long deadline = Environment.TickCount64 + (long)timeout.TotalMilliseconds;
        while (Libc.FLock(directory, Libc.LOCK_EX_NB) != 0)
        {
            if (Environment.TickCount64 > deadline || cancellation.WaitHandle.WaitOne(TimeSpan.FromMilliseconds(5)))
            {
                directory.Dispose();
                cancellation.ThrowIfCancellationRequested();
                throw new UblkException(UblkError.TimedOut, $"Another process has held the lock on {Path} for too long.");
            }
        }

        return directory;
    }

    private static string RecordPath(int id) => $"{Path}/{id}.json";

    private static void RequireWritable()
    {
        try
        {
            Directory.CreateDirectory(Path);
            string probe = $"{Path}/.probe-{Environment.ProcessId}";
            File.WriteAllBytes(probe, []);
            File.Delete(probe);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw NotWritable(exception);
        }
    }

    private static UblkException NotWritable(Exception cause) => new(UblkError.StateDirectoryNotWritable,
        $"The state directory {Path} cannot be written: {cause.Message} Run as root, with /run writable and not full.");
}

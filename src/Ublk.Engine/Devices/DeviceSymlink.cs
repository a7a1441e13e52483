using System.Globalization;
using Microsoft.Win32.SafeHandles;
using Ublk.Control;
using Ublk.Files;
using Ublk.Interop;

namespace Ublk.Devices;

/// <summary>Stable names of devices: links that come and go with them.</summary>
/// <remarks>
/// Links are made under a lock on names, and removed while the driver still keeps the id, so that
/// none leads to a device it was not made for.
/// </remarks>
internal static class DeviceSymlink
{
    private const string Folder = "/dev/disk/by-ublk";
    private const string TargetPrefix = "../../ublkb";

    /// <summary>The path of a name.</summary>
    public static string PathOf(string name) => $"{Folder}/{name}";

    /// <summary>Checks that no other device has a name.</summary>
    /// <param name="control">The control node.</param>
    /// <param name="name">The name.</param>
    /// <param name="id">The device that may have it; null for none.</param>
    /// <exception cref="UblkException">One has it, or something else is there under this name.</exception>
    public static void RequireFree(ControlDevice control, string name, int? id)
    {
        string path = PathOf(name);
        int? owner = TargetOf(path);
        if (owner is null && Path.Exists(path))
        {
            throw InUse($"{path} exists and is not a link to a ublk device. Remove it, or choose another -Name.");
        }

        // A link whose device is gone, or has lost its record, is left over.
        if (owner is { } other && other != id && DeviceInventory.Find(control, other)?.Symlink == path)
        {
            throw InUse($"{path} is the name of /dev/ublkb{other}. Remove that device, or choose another -Name.");
        }
    }

    /// <summary>Makes a link; it replaces one that is left over. Under the lock on names.</summary>
    /// <exception cref="UblkException">The name is taken, or the link cannot be made.</exception>
    public static void Create(ControlDevice control, string name, int id)
    {
        RequireFree(control, name, id);
        string temporary = PathOf(".new");
        try
        {
            PublicFolder.Create(Folder);
            File.Delete(temporary);
            File.CreateSymbolicLink(temporary, $"{TargetPrefix}{id}");
            File.Move(temporary, PathOf(name), overwrite: true);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new UblkException(UblkError.OperationFailed,
                $"Cannot make the link {PathOf(name)}: {exception.Message}", operation: "symlink", deviceId: id);
        }
    }

    /// <summary>Removes the links to an id that is free under the lock, or the caller's own.</summary>
    public static void Delete(int id)
    {
        try
        {
            foreach (string path in LinksTo(id))
            {
                File.Delete(path);
            }
        }
        catch (Exception exception) when (exception is DirectoryNotFoundException or UnauthorizedAccessException)
        {
            // udev removes a link it knows, and the folder with the last one. An ordinary user has none, and can remove none.
        }
    }

    /// <summary>Removes the links to a device that is about to go, or has gone, unless the id is another's by now.</summary>
    public static void Delete(ControlDevice control, int id, ulong cookie)
    {
        if (LinksTo(id).Length == 0)
        {
            return;
        }

        using SafeFileHandle idLock = StateDirectory.Own.LockDevice(id, CancellationToken.None);
        if (!DeviceIdentity.IsReplaced(control, id, cookie))
        {
            Delete(id);
        }
    }

    private static string[] LinksTo(int id)
    {
        try
        {
            return !Directory.Exists(Folder) ? [] : [.. Directory.EnumerateFileSystemEntries(Folder).Where(path => TargetOf(path) == id)];
        }
        catch (Exception exception) when (exception is DirectoryNotFoundException or UnauthorizedAccessException)
        {
            // No device had a name yet, or udev has removed the folder with the last link, at any moment.
            // A user who may not look into the folder has no link there.
            return [];
        }
    }

    private static int? TargetOf(string path) =>
        new FileInfo(path).LinkTarget is { } target && target.StartsWith(TargetPrefix, StringComparison.Ordinal)
        && int.TryParse(target.AsSpan(TargetPrefix.Length), NumberStyles.None, CultureInfo.InvariantCulture, out int id)
            ? id : null;

    private static UblkException InUse(string message) => new(UblkError.NameInUse, message, Libc.EEXIST, "symlink");
}

using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Ublk.Interop;

internal static partial class Libc
{
    /// <summary>Gives an open file another owner and group (fchown(2)). Drops its set-id bits and capabilities.</summary>
    [LibraryImport("libc", EntryPoint = "fchown", SetLastError = true)]
    public static partial int FChOwn(SafeFileHandle file, uint user, uint group);

    /// <summary>Gives an open file other permissions (fchmod(2)).</summary>
    [LibraryImport("libc", EntryPoint = "fchmod", SetLastError = true)]
    public static partial int FChMod(SafeFileHandle file, uint mode);

    [LibraryImport("libc", EntryPoint = "flistxattr", SetLastError = true)]
    private static unsafe partial nint FListXAttr(SafeFileHandle file, byte* names, nint length);

    [LibraryImport("libc", EntryPoint = "fgetxattr", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static unsafe partial nint FGetXAttr(SafeFileHandle file, string name, byte* value, nint length);

    [LibraryImport("libc", EntryPoint = "fsetxattr", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static unsafe partial int FSetXAttr(SafeFileHandle file, string name, byte* value, nint length, int flags);

    [LibraryImport("libc", EntryPoint = "fremovexattr", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int FRemoveXAttr(SafeFileHandle file, string name);

    /// <summary>The names of a file's extended attributes (flistxattr(2)).</summary>
    /// <param name="file">The open file.</param>
    /// <param name="names">The names; empty on an error and where the file system has none.</param>
    /// <returns>0 or a positive errno.</returns>
    public static unsafe int ListAttributes(SafeFileHandle file, out string[] names)
    {
        byte[] room = new byte[MaxAttributeBytes];
        fixed (byte* start = room)
        {
            nint length = FListXAttr(file, start, room.Length);
            int errno = length >= 0 || LastErrno == EOPNOTSUPP ? 0 : LastErrno;
            names = System.Text.Encoding.UTF8.GetString(room, 0, (int)nint.Max(0, length))
                .Split('\0', StringSplitOptions.RemoveEmptyEntries);
            return errno;
        }
    }

    /// <summary>The value of an extended attribute; null where the file has none of the name.</summary>
    /// <returns>0 or a positive errno.</returns>
    public static unsafe int GetAttribute(SafeFileHandle file, string name, out byte[]? value)
    {
        byte[] room = new byte[MaxAttributeBytes];
        fixed (byte* start = room)
        {
            nint length = FGetXAttr(file, name, start, room.Length);
            value = length >= 0 ? room[..(int)length] : null;
            return length >= 0 || LastErrno is ENODATA or EOPNOTSUPP ? 0 : LastErrno;
        }
    }

    /// <summary>Gives an extended attribute a value, or removes it.</summary>
    /// <returns>0 or a positive errno.</returns>
    public static unsafe int SetAttribute(SafeFileHandle file, string name, byte[]? value)
    {
        if (value is null)
        {
            return FRemoveXAttr(file, name) == 0 || LastErrno is ENODATA or EOPNOTSUPP ? 0 : LastErrno;
        }

        fixed (byte* start = value)
        {
            return FSetXAttr(file, name, start, value.Length, 0) == 0 ? 0 : LastErrno;
        }
    }

    // XATTR_SIZE_MAX and XATTR_LIST_MAX (linux/limits.h).
    private const int MaxAttributeBytes = 64 << 10;
}

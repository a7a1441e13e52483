using Microsoft.Win32.SafeHandles;
using Ublk.Interop;

namespace Ublk.Files;

/// <summary>What a block device is asked by ioctl(2).</summary>
internal static unsafe class BlockDeviceIoctl
{
    /// <summary>The device's size in bytes.</summary>
    public static long GetSize(BackingFile file)
    {
        ulong size;
        Check(Libc.IoCtl(file.Handle, Libc.BLKGETSIZE64, &size), "BLKGETSIZE64", file);
        return (long)size;
    }

    /// <summary>The device's size in bytes now; 0 where the device is gone.</summary>
    public static long GetSizeOrZero(SafeFileHandle file)
    {
        ulong size;
        return Libc.IoCtl(file, Libc.BLKGETSIZE64, &size) == 0 ? (long)size : 0;
    }

    /// <summary>Whether the device refuses writes. It opens for writing all the same.</summary>
    public static bool IsReadOnly(BackingFile file)
    {
        int isReadOnly;
        Check(Libc.IoCtl(file.Handle, Libc.BLKROGET, &isReadOnly), "BLKROGET", file);
        return isReadOnly != 0;
    }

    /// <summary>The smallest unit the device takes, in bytes.</summary>
    public static int GetLogicalBlockSize(BackingFile file)
    {
        int size;
        Check(Libc.IoCtl(file.Handle, Libc.BLKSSZGET, &size), "BLKSSZGET", file);
        return size;
    }

    /// <summary>The unit the device prefers, in bytes.</summary>
    public static int GetPhysicalBlockSize(BackingFile file)
    {
        uint size;
        Check(Libc.IoCtl(file.Handle, Libc.BLKPBSZGET, &size), "BLKPBSZGET", file);
        return (int)size;
    }

    /// <summary>Discards a range; waits for the device.</summary>
    /// <returns>0 or a negative errno.</returns>
    public static int Discard(SafeFileHandle file, long offset, long length)
    {
        ulong* range = stackalloc ulong[] { (ulong)offset, (ulong)length };
        return Libc.IoCtl(file, Libc.BLKDISCARD, range) == 0 ? 0 : -Libc.LastErrno;
    }

    private static void Check(int result, string operation, BackingFile file)
    {
        if (result < 0)
        {
            throw UblkException.FromErrno(Libc.LastErrno, operation, $"Cannot ask {file.Path} for its geometry");
        }
    }
}

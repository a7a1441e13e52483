using Microsoft.Win32.SafeHandles;
using Ublk.Control;
using Ublk.Devices;
using Ublk.Interop;

namespace Ublk.Lifecycle;

/// <summary>Makes live disks refuse writes, and take them again. It lasts as long as the disk.</summary>
internal static class DeviceWriteAccess
{
    /// <summary>Sets whether a disk is read-only.</summary>
    /// <param name="id">The device, of any server.</param>
    /// <param name="readOnly">Whether it is to refuse writes.</param>
    /// <exception cref="UblkException">There is no such disk, somebody stands on it, or what is behind it cannot be written.</exception>
    public static void Set(int id, bool readOnly)
    {
        using ControlDevice control = new();
        UblkDeviceInfo info = control.GetInfo(id);
        if (info.State != (ushort)DriverState.Live)
        {
            throw DeviceTransitions.WrongState(id, DeviceInventory.StateOf(info));
        }

        if (readOnly)
        {
            RequireNoLayers(id);
        }
        else
        {
            RequireWritable(control, id);
        }

        Set($"/dev/ublkb{id}", id, readOnly);
    }

    // The kernel checks write(2), but lets a file system or a volume that is above the disk already go on writing.
    private static void RequireNoLayers(int id)
    {
        IReadOnlyList<string> layers = DeviceUsers.Layers(id);
        if (layers.Count > 0)
        {
            throw new UblkException(UblkError.DeviceInUse,
                $"/dev/ublkb{id} is {string.Join(", ", layers)}, which would go on writing to it. Unmount it first.", deviceId: id);
        }
    }

    private static void RequireWritable(ControlDevice control, int id)
    {
        if ((control.GetParameters(id).Attributes & UblkAbi.AttrReadOnly) != 0)
        {
            throw new UblkException(UblkError.InvalidArgument,
                $"Device {id} was created read-only: its storage is not open for writing. Remove it and create it again.", deviceId: id);
        }
    }

    private static unsafe void Set(string path, int id, bool readOnly)
    {
        using SafeFileHandle disk = Libc.Open(path, Libc.O_RDONLY);
        int value = readOnly ? 1 : 0;
        if (disk.IsInvalid || Libc.IoCtl(disk, Libc.BLKROSET, &value) != 0)
        {
            throw UblkException.FromErrno(Libc.LastErrno, "BLKROSET", $"Cannot change the write access of {path}", id);
        }
    }
}

using System.Globalization;
using Ublk.Files;
using Ublk.Interop;

namespace Ublk.Targets.Loop;

/// <summary>What a loop disk is like, from the file behind it.</summary>
internal static class LoopGeometry
{
    /// <summary>Looks at a file.</summary>
    /// <param name="file">The open file; the alignment of direct I/O becomes the block size.</param>
    /// <param name="offset">Where in the file the disk begins, in bytes.</param>
    /// <exception cref="UblkException">The file holds no block, or the offset does not fit.</exception>
    public static TargetGeometry Of(BackingFile file, long offset)
    {
        int logical = file.IsBlockDevice ? BlockDeviceIoctl.GetLogicalBlockSize(file) : file.IsDirect ? file.DirectAlignment() : 512;
        if (offset % logical != 0)
        {
            throw new UblkException(UblkError.InvalidArgument,
                $"Offset {offset} is not a multiple of the block size of {file.Path}, {logical} bytes.");
        }

        // A last block that a file ends inside of belongs to the disk: it reads as zeroes beyond the end. A block device has no such block.
        long length = file.Length - offset;
        if (length < (file.IsBlockDevice ? logical : 1))
        {
            throw new UblkException(UblkError.InvalidBackingFile, file.Length == 0
                ? $"{file.Path} is empty. Give it a size first: truncate -s 1G {file.Path}"
                : $"{file.Path} has {file.Length} bytes, from {offset} on less than one block of {logical}.");
        }

        long largest = long.MaxValue / logical * logical;
        if (length > largest)
        {
            throw new UblkException(UblkError.InvalidBackingFile,
                $"{file.Path} has {length} bytes from {offset} on; a disk with blocks of {logical} bytes has at most {largest}.");
        }

        return new TargetGeometry
        {
            Size = file.IsBlockDevice ? length / logical * logical : ((length - 1) / logical * logical) + logical,
            LogicalBlockSize = logical,
            PhysicalBlockSize = int.Max(logical, file.IsBlockDevice ? BlockDeviceIoctl.GetPhysicalBlockSize(file) : 4096),
            MemoryAlignment = file.IsDirect ? MemoryAlignment(file, logical) : 1,
            ReadOnly = file.ReadOnly,
            VolatileCache = !file.ReadOnly,
            DiscardGranularity = file.ReadOnly ? 0 : DiscardGranularity(file),
            WriteZeroes = !file.ReadOnly && (file.IsBlockDevice || CanPunchHoles(file)),
        };
    }

    // Without a copy a request has a segment for each page of its client's memory, and kernels before 6.18 want the length of each to be a
    // multiple of the block. So the memory must begin at one, whatever less the device itself could do with.
    private static int MemoryAlignment(BackingFile file, int logical) =>
        (file.State.Mask & Libc.STATX_DIOALIGN) != 0 ? int.Max((int)file.State.DirectMemoryAlign, logical) : logical;

    private static int DiscardGranularity(BackingFile file)
    {
        if (!file.IsBlockDevice)
        {
            return CanPunchHoles(file) ? int.Max(4096, (int)file.State.BlockSize) : 0;
        }

        // A partition has no queue of its own: its disk is the folder above.
        string device = $"/sys/dev/block/{file.State.DeviceNodeMajor}:{file.State.DeviceNodeMinor}";
        string limits = Directory.Exists($"{device}/queue") ? $"{device}/queue" : $"{device}/../queue";
        return ReadNumber($"{limits}/discard_max_bytes") > 0
            ? (int)long.Clamp(ReadNumber($"{limits}/discard_granularity"), 512, 1 << 30)
            : 0;
    }

    // Tries it as far beyond the end as the file system lets a file reach: another program may be making the file longer.
    private static bool CanPunchHoles(BackingFile file)
    {
        for (long place = 1L << 62; place >= file.Length; place = (place - (place >> 4)) / 4096 * 4096)
        {
            if (Libc.FAllocate(file.Handle, Libc.FALLOC_FL_PUNCH_HOLE | Libc.FALLOC_FL_KEEP_SIZE, place, 4096) == 0)
            {
                return true;
            }

            if (Libc.LastErrno != Libc.EFBIG)
            {
                return false;
            }
        }

        return false;
    }

    private static long ReadNumber(string path)
    {
        try
        {
            return long.Parse(File.ReadAllText(path).Trim(), CultureInfo.InvariantCulture);
        }
        catch (IOException)
        {
            return 0;
        }
    }
}

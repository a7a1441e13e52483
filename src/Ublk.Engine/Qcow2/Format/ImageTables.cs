using System.Buffers.Binary;
using Ublk.Files;
using Ublk.Io;

namespace Ublk.Qcow2.Format;

/// <summary>Reads parts of an image while it is opened, on the calling thread.</summary>
internal static class ImageTables
{
    /// <summary>Reads bytes; what is beyond the file's end is zero.</summary>
    /// <exception cref="UblkException">The file cannot be read.</exception>
    public static byte[] Read(ImageFile file, long offset, long length)
    {
        int unit = int.Max(4096, file.Alignment);
        long start = offset / unit * unit;
        using AlignedBuffer buffer = new(checked((int)((offset + length - start + unit - 1) / unit * unit)));
        int result = ResultOf(file.ReadAsync(null, buffer.Part(0, buffer.Length), start));
        return result < 0
            ? throw UblkException.FromErrno(-result, "read", $"Cannot read {file.Path}")
            : buffer.Span.Slice((int)(offset - start), (int)length).ToArray();
    }

    /// <summary>The result of an operation without a queue, which is completed when it returns.</summary>
    public static int ResultOf(ValueTask<int> operation) =>
        operation.IsCompleted ? operation.Result : throw new InvalidOperationException("Without a queue nothing can be waited for.");

    /// <summary>Reads the header.</summary>
    /// <exception cref="UblkException">It cannot be read, or is none.</exception>
    public static ImageHeader ReadHeader(ImageFile file)
    {
        byte[] start = Read(file, 0, 4096);
        int clusterSize = ImageHeader.PeekClusterSize(start, file.Path);
        return ImageHeader.Parse(clusterSize <= start.Length ? start : Read(file, 0, clusterSize), file.Path);
    }

    /// <summary>Reads an L1 table or a refcount table.</summary>
    /// <param name="file">The image.</param>
    /// <param name="offset">Where it is.</param>
    /// <param name="length">Its entries.</param>
    /// <exception cref="UblkException">The file cannot be read.</exception>
    public static ulong[] ReadTable(ImageFile file, long offset, int length)
    {
        // A header that promises more than the file has takes no time.
        int known = (int)long.Clamp((file.Length - offset + 7) / 8, 0, length);
        byte[] bytes = Read(file, offset, known * 8L);
        ulong[] table = new ulong[length];
        for (int index = 0; index < known; index++)
        {
            table[index] = BinaryPrimitives.ReadUInt64BigEndian(bytes.AsSpan(index * 8));
        }

        return table;
    }

    /// <summary>Reads the directory of persistent bitmaps; empty where there is none, or none that is valid.</summary>
    /// <exception cref="UblkException">The file cannot be read, or the directory is malformed.</exception>
    public static IReadOnlyList<PersistentBitmap> ReadBitmaps(ImageFile file, ImageHeader header) =>
        BitmapDirectory.Of(header, file.Path) is { } directory
            ? directory.Parse(
                Read(file, directory.Offset, long.Clamp(file.Length - directory.Offset, 0, directory.Size)), header.Layout, file.Path)
            : [];

    /// <summary>Reads the snapshot table.</summary>
    /// <param name="file">The image.</param>
    /// <param name="header">Its header.</param>
    /// <param name="length">Bytes the table has.</param>
    /// <exception cref="UblkException">The file cannot be read, or the table is malformed.</exception>
    public static IReadOnlyList<Snapshot> ReadSnapshots(ImageFile file, ImageHeader header, out int length)
    {
        length = 0;
        if (header.SnapshotCount == 0)
        {
            return [];
        }

        // The last entry's padding may be beyond the file's end.
        long room = long.Min(file.Length - header.SnapshotsOffset + 8, SnapshotTable.MaxBytes);
        byte[] bytes = room > 0 ? Read(file, header.SnapshotsOffset, room) : [];
        return SnapshotTable.Parse(bytes, header.SnapshotCount, header.Layout, file.Path, out length);
    }
}

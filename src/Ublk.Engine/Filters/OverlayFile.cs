using System.Buffers.Binary;
using Ublk.Interop;
using Ublk.Targets;
using Ublk.Targets.Loop;

namespace Ublk.Filters;

/// <summary>Where an overlay keeps what is written: a header, a bit for each block of the disk, and the blocks in their places.</summary>
/// <remarks>The file is sparse: what was not written takes no room, and the file can be as large as the disk from the start.</remarks>
internal sealed class OverlayFile
{
    private const int Page = 4096;

    private readonly long _blocks;
    private readonly TargetGeometry _disk;

    private OverlayFile(BackingFile backing, TargetGeometry disk, bool isTemporary)
    {
        Backing = backing;
        _disk = disk;
        _blocks = disk.Size / disk.LogicalBlockSize;
        IsTemporary = isTemporary;
    }

    /// <summary>The file.</summary>
    public BackingFile Backing { get; }

    /// <summary>Whether it is gone when it is closed, so that nothing in it need be durable.</summary>
    public bool IsTemporary { get; }

    private static ReadOnlySpan<byte> Magic => "UBLKCOW1"u8;

    /// <summary>Opens an overlay, or makes one that is empty.</summary>
    /// <exception cref="UblkException">It cannot be made, is in use, or is not one of such a disk.</exception>
    public static OverlayFile Open(string path, TargetGeometry disk)
    {
        bool isNew = !File.Exists(path);
        if (isNew)
        {
            Create(path, disk);
        }

        try
        {
            BackingFile backing = BackingFile.TryOpen(path, readOnly: false, direct: false, force: false)!;
            try
            {
                RequireOurs(backing, disk);
                return new OverlayFile(backing, disk, isTemporary: false);
            }
            catch
            {
                backing.Dispose();
                throw;
            }
        }
        catch when (isNew)
        {
            File.Delete(path);
            throw;
        }
    }

    /// <summary>Makes an overlay that lasts as long as it is open.</summary>
    /// <exception cref="UblkException">The kernel refuses it.</exception>
    public static OverlayFile CreateInMemory(TargetGeometry disk) =>
        new(BackingFile.CreateInMemory(FileLength(disk)), disk, isTemporary: true);

    /// <summary>The blocks, as a disk.</summary>
    /// <param name="index">The file's place among those of the queues.</param>
    public LoopTarget OpenData(int index) => new(Backing, direct: false, DataStart(_disk), index);

    /// <summary>The bits.</summary>
    /// <param name="index">The file's place among those of the queues.</param>
    public OverlayMap OpenMap(int index)
    {
        OverlayMap map = new(_blocks, new LoopTarget(Backing, direct: false, Page, index));
        if (!IsTemporary)
        {
            map.Load(Backing, Page);
        }

        return map;
    }

    /// <summary>Keeps what was written without a flush, as far as possible; for the end, when no request is left.</summary>
    public void Save(OverlayMap map)
    {
        if (!IsTemporary)
        {
            _ = map.TrySave(Backing, Page);
        }
    }

    private static long DataStart(TargetGeometry disk) => Page + OverlayMap.BytesFor(disk.Size / disk.LogicalBlockSize);

    private static long FileLength(TargetGeometry disk) => DataStart(disk) + disk.Size;

    // Whole under its name or not there at all.
    private static void Create(string path, TargetGeometry disk)
    {
        string temporary = $"{path}.{Environment.ProcessId}.new";
        try
        {
            using (FileStream file = new(temporary, FileMode.CreateNew, FileAccess.ReadWrite))
            {
                file.Write(Header(disk));
                file.SetLength(FileLength(disk));
                file.Flush(flushToDisk: true);
            }

            File.Move(temporary, path, overwrite: false);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            if (File.Exists(temporary))
            {
                File.Delete(temporary);
            }

            throw new UblkException(UblkError.InvalidArgument, $"The overlay {path} cannot be made: {exception.Message}", operation: "open");
        }
    }

    private static byte[] Header(TargetGeometry disk)
    {
        byte[] header = new byte[Page];
        Magic.CopyTo(header);
        BinaryPrimitives.WriteInt64LittleEndian(header.AsSpan(8), disk.Size);
        BinaryPrimitives.WriteInt32LittleEndian(header.AsSpan(16), disk.LogicalBlockSize);
        return header;
    }

    private static unsafe void RequireOurs(BackingFile backing, TargetGeometry disk)
    {
        byte[] header = new byte[Page];
        nint read;
        fixed (byte* bytes = header)
        {
            read = Libc.PRead(backing.Handle, bytes, Page, 0);
        }

        if (backing.ReadOnly || read != Page || !header.AsSpan().SequenceEqual(Header(disk)) || backing.Length != FileLength(disk))
        {
            string why = backing.ReadOnly ? "cannot be written"
                : read == Page && header.AsSpan(0, 8).SequenceEqual(Magic)
                    ? $"was made for a disk of {BinaryPrimitives.ReadInt64LittleEndian(header.AsSpan(8))} bytes in blocks of "
                        + $"{BinaryPrimitives.ReadInt32LittleEndian(header.AsSpan(16))}, and this one has {disk.Size} in blocks of {disk.LogicalBlockSize}"
                : "is no overlay";
            throw new UblkException(UblkError.InvalidBackingFile, $"{backing.Path} {why}. Name an overlay of this disk, or a new file.");
        }
    }
}

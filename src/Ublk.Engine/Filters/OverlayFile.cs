using System.Buffers.Binary;
using System.Security.Cryptography;
using Ublk.Files;
using Ublk.Interop;
using Ublk.Targets;
using Ublk.Targets.Loop;

namespace Ublk.Filters;

/// <summary>Where an overlay keeps what is written: a header, a bit for each block of the disk, and the blocks in their places.</summary>
/// <remarks>
/// The file is sparse: what was not written takes no room, and the file can be as large as the disk from the start. A random number in its
/// header, the generation, distinguishes it from another overlay of the same name.
/// </remarks>
internal sealed class OverlayFile
{
    private const int Page = 4096;

    // Where the generation is in the header; an overlay of an older version has zeroes there.
    private const int GenerationOffset = 24;

    private readonly long _blocks;
    private readonly TargetGeometry _disk;

    private OverlayFile(BackingFile backing, TargetGeometry disk, bool isTemporary, ulong generation)
    {
        Backing = backing;
        Generation = generation;
        _disk = disk;
        _blocks = disk.Size / disk.LogicalBlockSize;
        IsTemporary = isTemporary;
    }

    /// <summary>The file.</summary>
    public BackingFile Backing { get; }

    /// <summary>Whether it is gone when it is closed, so that nothing in it need be durable.</summary>
    public bool IsTemporary { get; }

    /// <summary>
    /// The random number that the file got when it was made; 0 for one of an older version that no new device has opened since.
    /// </summary>
    public ulong Generation { get; }

    private static ReadOnlySpan<byte> Magic => "UBLKCOW1"u8;

    /// <summary>
    /// Opens an overlay. One that is not there is made for a new device, and for no other: its users know what was in it.
    /// </summary>
    /// <param name="path">The file.</param>
    /// <param name="disk">The disk.</param>
    /// <param name="former">The generations of a device that is there already, by path; null for a new device.</param>
    /// <exception cref="UblkException">It cannot be made, is gone, in use, another one, or not one of such a disk.</exception>
    public static OverlayFile Open(string path, TargetGeometry disk, IReadOnlyDictionary<string, ulong>? former = null)
    {
        bool isNew = former is null && !File.Exists(path);
        if (isNew)
        {
            Create(path, disk);
        }
        else if (!File.Exists(path))
        {
            throw new UblkException(UblkError.PathNotFound,
                $"The overlay {path} of the disk is gone, and with it what was written. Put it back, or remove the device "
                    + "(Remove-UblkDevice).",
                Libc.ENOENT, "open");
        }

        try
        {
            BackingFile backing = BackingFile.TryOpen(path, readOnly: false, direct: false, force: false)!;
            try
            {
                ulong generation = RequireOurs(backing, disk);
                if (former is null && generation == 0)
                {
                    generation = NewGeneration();
                    Stamp(backing, generation);
                }
                else if (former is not null && former.TryGetValue(path, out ulong known) && known != generation)
                {
                    throw new UblkException(UblkError.InvalidBackingFile,
                        $"{path} is not the overlay of this disk: it was replaced. Put the right one back, or remove the "
                            + "device (Remove-UblkDevice).", operation: "open");
                }

                return new OverlayFile(backing, disk, isTemporary: false, generation);
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
        new(BackingFile.CreateInMemory(FileLength(disk)), disk, isTemporary: true, generation: 0);

    /// <summary>The blocks, as a disk.</summary>
    /// <param name="index">The file's place among those of the queues.</param>
    public LoopTarget OpenData(int index) => new(Backing, DataStart(_disk), index);

    /// <summary>The bits.</summary>
    /// <param name="index">The file's place among those of the queues.</param>
    public OverlayMap OpenMap(int index)
    {
        OverlayMap map = new(_blocks, new LoopTarget(Backing, Page, index));
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

    private static long FileLength(TargetGeometry disk) =>
        OverlayMap.Fits(disk.Size / disk.LogicalBlockSize) && disk.Size <= long.MaxValue - DataStart(disk)
        ? DataStart(disk) + disk.Size
        : throw new UblkException(UblkError.InvalidArgument, $"The disk has {disk.Size} bytes, which are too many for an overlay.");

    // Whole under its name or not there at all.
    private static void Create(string path, TargetGeometry disk)
    {
        try
        {
            using NewFile file = new(path, Libc.OwnerReadWrite);
            byte[] header = Header(disk);
            BinaryPrimitives.WriteUInt64LittleEndian(header.AsSpan(GenerationOffset), NewGeneration());
            RandomAccess.SetLength(file.Handle, FileLength(disk));
            RandomAccess.Write(file.Handle, header, 0);
            file.Name(replace: false);
            file.Flush();
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new UblkException(
                exception is UnauthorizedAccessException ? UblkError.PermissionDenied
                    : exception is DirectoryNotFoundException || exception.HResult == Libc.ENOENT ? UblkError.PathNotFound
                    : UblkError.OperationFailed,
                $"Cannot create the overlay {path}: {exception.Message} Check its folder, or choose another one.", operation: "open");
        }
    }

    // Not 0, which says that there is none.
    private static ulong NewGeneration() => BitConverter.ToUInt64(RandomNumberGenerator.GetBytes(sizeof(ulong))) | 1;

    private static unsafe void Stamp(BackingFile backing, ulong generation)
    {
        if (Libc.PWrite((int)backing.Handle.DangerousGetHandle(), (nint)(&generation), sizeof(ulong), GenerationOffset) != sizeof(ulong)
            || Libc.FSync(backing.Handle) != 0)
        {
            throw UblkException.FromErrno(Libc.LastErrno, "pwrite", $"{backing.Path} cannot be written");
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

    // Returns the generation.
    private static unsafe ulong RequireOurs(BackingFile backing, TargetGeometry disk)
    {
        byte[] header = new byte[Page];
        nint read;
        fixed (byte* bytes = header)
        {
            read = Libc.PRead(backing.Handle, bytes, Page, 0);
        }

        ulong generation = BinaryPrimitives.ReadUInt64LittleEndian(header.AsSpan(GenerationOffset));
        header.AsSpan(GenerationOffset, sizeof(ulong)).Clear();
        if (backing.ReadOnly || read != Page || !header.AsSpan().SequenceEqual(Header(disk)) || backing.Length != FileLength(disk))
        {
            string why = backing.ReadOnly ? "cannot be written"
                : read == Page && header.AsSpan(0, 8).SequenceEqual(Magic)
                    ? $"was made for a disk of {BinaryPrimitives.ReadInt64LittleEndian(header.AsSpan(8))} bytes in blocks of "
                        + $"{BinaryPrimitives.ReadInt32LittleEndian(header.AsSpan(16))}, and this one has {disk.Size} in blocks of "
                            + $"{disk.LogicalBlockSize}"
                : "is no overlay";
            throw new UblkException(UblkError.InvalidBackingFile, $"{backing.Path} {why}. Name an overlay of this disk, or a new file.");
        }

        return generation;
    }
}

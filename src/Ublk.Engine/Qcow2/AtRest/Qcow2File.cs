using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Ublk.Files;
using Ublk.Qcow2.Format;

namespace Ublk.Qcow2.AtRest;

/// <summary>A qcow2 image's metadata, read and written as it lies in the file: for operations that have the image to themselves.</summary>
/// <param name="file">The image's file, which it disposes of.</param>
/// <param name="header">Its header.</param>
internal sealed class Qcow2File(DiskFile file, ImageHeader header) : ImageTables(file, header), IDisposable
{
    /// <summary>The file.</summary>
    public DiskFile File { get; } = file;

    /// <summary>Whether the disk's data is in a file of its own.</summary>
    public bool HasDataFile => Layout.HasDataFile;

    /// <summary>Reads the header.</summary>
    /// <param name="file">The image's file, which is disposed of when it is no qcow2 image.</param>
    /// <exception cref="UblkException">It is no valid image, or one with features that are unknown here.</exception>
    public static Qcow2File Read(DiskFile file)
    {
        try
        {
            ForeignFormat.Refuse(file);
            return new Qcow2File(file, ReadHeader(file));
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>Writes a table of big-endian numbers.</summary>
    /// <typeparam name="T">A number, or an entry that is one, of 8 bytes.</typeparam>
    public void WriteTable<T>(long offset, ReadOnlySpan<T> table)
        where T : unmanaged
    {
        ulong[] bytes = new ulong[table.Length];
        BinaryPrimitives.ReverseEndianness(MemoryMarshal.Cast<T, ulong>(table), bytes);
        File.Write(MemoryMarshal.AsBytes(bytes.AsSpan()), offset);
    }

    /// <summary>Whether an L2 table can be at a place.</summary>
    public bool CanHoldL2(long offset) => offset > 0 && offset < File.Length && Layout.IsAligned(offset);

    /// <summary>Clears the autoclear bits that are unknown here, durably. Comes before the first change of an image.</summary>
    /// <exception cref="UblkException">The header cannot be written.</exception>
    public void BeginWriting()
    {
        if ((Header.Autoclear & ~AutoclearFeatures.Known) != 0)
        {
            WriteHeader(Header);
        }
    }

    /// <summary>Writes another header over the one that is there, without autoclear bits that are unknown here; durably.</summary>
    /// <exception cref="UblkException">It cannot be written.</exception>
    public void WriteHeader(ImageHeader next)
    {
        next = next with { Autoclear = next.Autoclear & AutoclearFeatures.Known };

        // What changes during an image's life is in the first sector, so that a crash leaves the one header or the other.
        File.Write(next.ToCluster(File.Path), 0);
        Header = next;
        File.Flush();
    }

    /// <summary>Writes another header that fits a sector, and nothing but this sector; then makes it durable.</summary>
    /// <exception cref="UblkException">It cannot be written.</exception>
    public void ReplaceHeader(ImageHeader next)
    {
        File.Write(next.ToCluster(File.Path).AsSpan(0, 512), 0);
        File.Flush();
        Header = next;
    }

    /// <inheritdoc/>
    public void Dispose() => File.Dispose();
}

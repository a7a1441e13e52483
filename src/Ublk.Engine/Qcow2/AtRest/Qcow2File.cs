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
    private const int Sector = 512;

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
        byte[] cluster = next.ToCluster(File.Path);
        File.Write(next.StoredLength <= Sector ? cluster.AsSpan(0, Sector) : cluster, 0);
        Header = next;
        File.Flush();
    }

    /// <summary>Writes a header with moved extensions or names, durably and as one sector, which a crash leaves whole.</summary>
    /// <remarks>The table of feature names, which only error messages use, gives way if it must.</remarks>
    /// <exception cref="UblkException">It does not fit a sector, or cannot be written.</exception>
    public void ReplaceHeader(ImageHeader next)
    {
        if (next.StoredLength > Sector)
        {
            next = next with { Extensions = [.. next.Extensions.Where(extension => extension.Type != HeaderExtension.FeatureNames)] };
        }

        if (next.StoredLength > Sector)
        {
            throw new UblkException(UblkError.NotSupported,
                $"The header of {File.Path} would be larger than a sector, which a crash could leave half written. Choose a shorter name "
                    + "of the backing file.");
        }

        WriteHeader(next);
    }

    /// <inheritdoc/>
    public void Dispose() => File.Dispose();
}

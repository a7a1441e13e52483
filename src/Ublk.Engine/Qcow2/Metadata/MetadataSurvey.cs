using Ublk.Qcow2.Format;
using Ublk.Qcow2.State;

namespace Ublk.Qcow2.Metadata;

/// <summary>Notes where an image's metadata is before it is written for the first time.</summary>
internal static class MetadataSurvey
{
    // With clusters of 512 bytes, a file of 256 TiB: more would take too much memory to keep watch over.
    private const int MaxMapPages = 1 << 24;

    /// <summary>Notes the header, all tables and refcount blocks, and the snapshots' L1 tables.</summary>
    /// <exception cref="UblkException">Two of them claim the same cluster.</exception>
    public static void Run(
        ImageState image, ImageTables tables, ReadOnlySpan<ulong> l1, ReadOnlySpan<ulong> refcountTable)
    {
        ImageHeader header = image.Header;
        if (image.File.Length >> (header.ClusterBits + 15) > MaxMapPages)
        {
            throw ImageError.NotSupported(image.File.Path,
                $"is too long to be written in clusters of {header.Layout.ClusterSize} bytes. Attach it with -ReadOnly, or convert it to "
                    + "larger clusters.");
        }

        // The length of a LUKS header was checked when the key was read.
        image.Metadata.Add(new HostRange(0, 1));
        Note(image, header.RefcountTableOffset, (long)header.RefcountTableClusters << header.ClusterBits, "refcount table");
        foreach ((long offset, long length, string name) in tables.FindTables())
        {
            Note(image, offset, length, name);
        }

        foreach (ulong raw in refcountTable)
        {
            Note(image, new RefcountTableEntry(raw).Offset, header.Layout.ClusterSize, "refcount block");
        }

        foreach (ulong raw in l1)
        {
            Note(image, new L1Entry(raw).Offset, header.Layout.ClusterSize, "L2 table");
        }
    }

    // What is where nothing can be is noticed when it is used.
    private static void Note(ImageState image, long offset, long length, string name)
    {
        bool isPossible = offset > 0 && offset < image.File.Length && image.Layout.IsAligned(offset) && length > 0;
        if (isPossible && !image.Metadata.Add(new HostRange(offset, image.Layout.ClustersFor(length))))
        {
            throw ImageError.Invalid(image.File.Path,
                $"the {name} at byte {offset} is where other metadata is, so nothing may be written. Attach it with -ReadOnly to save what "
                    + "can be saved");
        }
    }
}

using Ublk.Files;
using Ublk.Io;
using Ublk.Qcow2.Encryption;
using Ublk.Qcow2.Format;

namespace Ublk.Qcow2.State;

/// <summary>What all parts of an open image share. Files, cipher and header block are disposed of with it.</summary>
internal sealed class ImageState(ImageFile file, ImageFile dataFile, DiskCipher? cipher, ImageHeader header, HeaderBlock? headerBlock,
    Qcow2Statistics statistics) : IDisposable
{
    // Copies and staged metadata go through buffers of this size.
    private const int ChunkLength = 64 << 10;
    private const int KeptChunks = 32;

    /// <summary>The image.</summary>
    public ImageFile File => file;

    /// <summary>Where the disk's data is: the image itself or its external data file.</summary>
    public ImageFile DataFile => dataFile;

    /// <summary>The disk's data in that file, as the disk shows it.</summary>
    public DiskData Data { get; } = new(dataFile, cipher);

    /// <summary>The header as it was when the image was opened.</summary>
    public ImageHeader Header => header;

    /// <summary>Its sizes.</summary>
    public ClusterLayout Layout { get; } = header.Layout;

    /// <summary>The header's changing fields; null for an image that is only read.</summary>
    public HeaderBlock? HeaderBlock => headerBlock;

    /// <summary>Whether the disk's data is in a file of its own, each byte at its own offset.</summary>
    public bool HasDataFile => Layout.HasDataFile;

    /// <summary>Protects what the queues share. Held briefly, and never across an await.</summary>
    public Lock Lock { get; } = new();

    /// <summary>Whether it may be written.</summary>
    public ImageHealth Health { get; } = new(headerBlock);

    /// <summary>Where metadata is.</summary>
    public MetadataMap Metadata { get; } = new(header.ClusterBits);

    /// <summary>When freed clusters are no longer in use.</summary>
    public RequestEpochs Epochs { get; } = new();

    /// <summary>Writes that are getting places.</summary>
    public GuestRanges Allocating { get; } = new();

    /// <summary>Clusters on their way to being free.</summary>
    public FreedClusters Freed { get; } = new(header.Layout.ClusterSize);

    /// <summary>Buffers of 64 KiB.</summary>
    public BufferPool Chunks { get; } = new(ChunkLength, KeptChunks);

    /// <summary>Changes that are not in the file yet, for the next worker; null without a journal.</summary>
    public WriteJournal? Journal { get; private set; }

    /// <summary>What was done, in all images of the chain.</summary>
    public Qcow2Statistics Statistics => statistics;

    /// <summary>What dirty ranges of tables are rounded to, in bytes.</summary>
    public int WriteUnit => int.Max(int.Min(4096, Layout.ClusterSize), File.Alignment);

    /// <summary>Notes all changes from now on.</summary>
    /// <param name="journal">Where; owned by this object.</param>
    public void Keep(WriteJournal journal) => Journal = journal;

    /// <inheritdoc/>
    public void Dispose()
    {
        Journal?.Dispose();
        Chunks.Dispose();
        HeaderBlock?.Dispose();
        Data.Dispose();
        if (HasDataFile)
        {
            DataFile.Dispose();
        }

        File.Dispose();
    }
}

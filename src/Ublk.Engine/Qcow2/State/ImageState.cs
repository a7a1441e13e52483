using Ublk.Files;
using Ublk.Io;
using Ublk.Qcow2.Encryption;
using Ublk.Qcow2.Format;

namespace Ublk.Qcow2.State;

/// <summary>What all parts of an open image share.</summary>
internal sealed class ImageState : IDisposable
{
    // Copies and staged metadata go through buffers of this size.
    private const int ChunkLength = 64 << 10;
    private const int KeptChunks = 32;

    /// <summary>Wraps an open file whose header was read.</summary>
    /// <param name="file">The image.</param>
    /// <param name="dataFile">The external data file, or the image itself.</param>
    /// <param name="cipher">What encrypts the disk's data, or null; goes with this.</param>
    /// <param name="header">The header as it was when opened.</param>
    /// <param name="headerBlock">The header as it is; null for an image that is only read.</param>
    /// <param name="statistics">What is done is counted there.</param>
    public ImageState(ImageFile file, ImageFile dataFile, DiskCipher? cipher, ImageHeader header, HeaderBlock? headerBlock,
        Qcow2Statistics statistics)
    {
        File = file;
        DataFile = dataFile;
        Data = new DiskData(dataFile, cipher);
        Header = header;
        Layout = header.Layout;
        HeaderBlock = headerBlock;
        Health = new ImageHealth(headerBlock);
        Metadata = new MetadataMap(header.ClusterBits);
        Freed = new FreedClusters(Layout.ClusterSize);
        Statistics = statistics;
        Chunks = new BufferPool(ChunkLength, KeptChunks);
    }

    /// <summary>The image.</summary>
    public ImageFile File { get; }

    /// <summary>Where the disk's data is: the image itself or its external data file.</summary>
    public ImageFile DataFile { get; }

    /// <summary>The disk's data in that file, as the disk shows it.</summary>
    public DiskData Data { get; }

    /// <summary>The header as it was when the image was opened.</summary>
    public ImageHeader Header { get; }

    /// <summary>Its sizes.</summary>
    public ClusterLayout Layout { get; }

    /// <summary>The header's changing fields; null for an image that is only read.</summary>
    public HeaderBlock? HeaderBlock { get; }

    /// <summary>Whether the disk's data is in a file of its own, each byte at its own offset.</summary>
    public bool HasDataFile => Layout.HasDataFile;

    /// <summary>Protects what the queues share. Held briefly, and never across an await.</summary>
    public Lock Lock { get; } = new();

    /// <summary>Whether it may be written.</summary>
    public ImageHealth Health { get; }

    /// <summary>Where metadata is.</summary>
    public MetadataMap Metadata { get; }

    /// <summary>When freed clusters are no longer in use.</summary>
    public RequestEpochs Epochs { get; } = new();

    /// <summary>Writes that are getting places.</summary>
    public GuestRanges Allocating { get; } = new();

    /// <summary>Clusters on their way to being free.</summary>
    public FreedClusters Freed { get; }

    /// <summary>Buffers of 64 KiB.</summary>
    public BufferPool Chunks { get; }

    /// <summary>Changes that are not in the file yet, for the next worker; null without a journal.</summary>
    public WriteJournal? Journal { get; set; }

    /// <summary>What was done, in all images of the chain.</summary>
    public Qcow2Statistics Statistics { get; }

    /// <summary>What dirty ranges of tables are rounded to, in bytes.</summary>
    public int WriteUnit => int.Max(int.Min(4096, Layout.ClusterSize), File.Alignment);

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

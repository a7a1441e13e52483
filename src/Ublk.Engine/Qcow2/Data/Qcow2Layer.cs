using Ublk.Io;
using Ublk.Qcow2.Metadata;
using Ublk.Qcow2.State;

namespace Ublk.Qcow2.Data;

/// <summary>An open qcow2 image, or one of its snapshots, to be read.</summary>
internal sealed class Qcow2Layer : DiskLayer
{
    private readonly CompressedReader _compressed;
    private readonly ImageReader _reader;

    /// <summary>Puts an image's parts together.</summary>
    /// <param name="state">The open image; goes with this.</param>
    /// <param name="tables">Its L2 tables; go with this.</param>
    /// <param name="size">The disk's size in bytes.</param>
    /// <param name="backing">What is under the image, or null; goes with this.</param>
    public Qcow2Layer(ImageState state, L2Cache tables, long size, DiskLayer? backing)
    {
        State = state;
        Tables = tables;
        Size = size;
        Backing = backing;
        Map = new ClusterMap(state, tables);
        _compressed = new CompressedReader(state);
        _reader = new ImageReader(state, Map, tables, _compressed, backing);
    }

    /// <summary>The open image.</summary>
    public ImageState State { get; }

    /// <summary>Its L2 tables.</summary>
    public L2Cache Tables { get; }

    /// <summary>Where the disk's bytes are.</summary>
    public ClusterMap Map { get; }

    /// <summary>Reads the disk.</summary>
    public ImageReader Reader => _reader;

    /// <summary>What is under the image, or null.</summary>
    public DiskLayer? Backing { get; }

    /// <inheritdoc/>
    public override long Size { get; }

    /// <inheritdoc/>
    public override int Alignment =>
        int.Max(int.Max(State.File.Alignment, State.DataFile.Alignment), Backing?.Alignment ?? 1);

    /// <inheritdoc/>
    public override bool ReadsAsZeroes(long offset, long length) =>
        offset >= Size || _reader.ReadsAsZeroes(offset, long.Min(length, Size - offset));

    protected override ValueTask<int> ReadInsideAsync(IoBuffer buffer, long offset) => _reader.ReadAsync(buffer, offset);

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            Backing?.Dispose();
            Tables.Dispose();
            _compressed.Dispose();
            State.Dispose();
        }

        base.Dispose(disposing);
    }
}

using Ublk.Io;
using Ublk.Qcow2.Metadata;
using Ublk.Qcow2.State;

namespace Ublk.Qcow2.Data;

/// <summary>An open qcow2 image, or one of its snapshots, to be read. Its parts and what is under it are disposed of with it.</summary>
internal sealed class Qcow2Layer(ImageState state, L2Cache tables, long size, DiskLayer? backing) : DiskLayer
{
    /// <summary>The open image.</summary>
    public ImageState State => state;

    /// <summary>Its L2 tables.</summary>
    public L2Cache Tables => tables;

    /// <summary>Reads the disk.</summary>
    public ImageReader Reader { get; } = new(state, tables, backing);

    /// <summary>What is under the image, or null.</summary>
    public DiskLayer? Backing => backing;

    /// <summary>Reads the table of a part of the disk, where the map says that it is not in memory.</summary>
    /// <returns>0 or a negative errno.</returns>
    public IoTask<int> LoadTableAsync(long offset) => tables.LoadAsync(state.Layout.L1Index(offset));

    /// <inheritdoc/>
    public override long Size => size;

    /// <inheritdoc/>
    public override int Alignment => int.Max(int.Max(state.File.Alignment, state.DataFile.Alignment), backing?.Alignment ?? 1);

    /// <inheritdoc/>
    public override bool ReadsAsZeroes(long offset, long length) =>
        offset >= size || Reader.ReadsAsZeroes(offset, long.Min(length, size - offset));

    /// <inheritdoc/>
    public override void Dispose()
    {
        backing?.Dispose();
        tables.Dispose();
        Reader.Dispose();
        state.Dispose();
    }

    protected override IoTask<int> ReadInsideAsync(IoBuffer buffer, long offset) => Reader.ReadAsync(buffer, offset);
}

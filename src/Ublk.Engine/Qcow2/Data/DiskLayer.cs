using Ublk.Files;
using Ublk.Io;

namespace Ublk.Qcow2.Data;

/// <summary>The content of a disk: a qcow2 image, or a raw file under one.</summary>
internal abstract class DiskLayer : IDisposable
{
    /// <summary>Size of the disk in bytes; beyond it are zeroes.</summary>
    public abstract long Size { get; }

    /// <summary>What its files want requests to be aligned to, in bytes.</summary>
    public abstract int Alignment { get; }

    /// <summary>Fills a buffer with the disk's content.</summary>
    /// <returns>0 or a negative errno.</returns>
    public async IoTask<int> ReadAsync(IoBuffer buffer, long offset)
    {
        long inside = Size - offset;
        if (inside <= 0)
        {
            buffer.Span.Clear();
            return 0;
        }

        // The whole last block is read, as direct I/O wants it, and what is beyond the disk's end cut off after. Every table of an image
        // covers a multiple of the block.
        long unit = int.Max(4096, Alignment);
        long end = (Size + unit - 1) / unit * unit;
        int result = await ReadInsideAsync(buffer.Slice(0, (int)long.Min(buffer.Length, end - offset)), offset);
        if (inside < buffer.Length)
        {
            buffer.Span[(int)inside..].Clear();
        }

        return result;
    }

    /// <summary>Whether a range is known to read as zeroes, without I/O.</summary>
    public abstract bool ReadsAsZeroes(long offset, long length);

    /// <summary>Closes the files.</summary>
    public abstract void Dispose();

    /// <summary>Fills a buffer that begins on the disk and ends on it, or in its last block.</summary>
    protected abstract IoTask<int> ReadInsideAsync(IoBuffer buffer, long offset);
}

/// <summary>A raw file as a backing file.</summary>
/// <param name="file">The file; owned by this object.</param>
internal sealed class RawLayer(ImageFile file) : DiskLayer
{
    /// <inheritdoc/>
    public override long Size { get; } = file.Length;

    /// <inheritdoc/>
    public override int Alignment => file.Alignment;

    /// <inheritdoc/>
    public override bool ReadsAsZeroes(long offset, long length) => offset >= Size;

    /// <inheritdoc/>
    public override void Dispose() => file.Dispose();

    protected override IoTask<int> ReadInsideAsync(IoBuffer buffer, long offset) => file.ReadAsync(buffer, offset);
}

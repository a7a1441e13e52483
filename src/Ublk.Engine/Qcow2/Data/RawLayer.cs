using Ublk.Files;
using Ublk.Io;

namespace Ublk.Qcow2.Data;

/// <summary>A raw file as a backing file.</summary>
/// <param name="file">The file; goes with this.</param>
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

    protected override ValueTask<int> ReadInsideAsync(IoBuffer buffer, long offset) => file.ReadAsync(buffer, offset);
}

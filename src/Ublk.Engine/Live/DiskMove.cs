using Ublk.Images;
using Ublk.Io;
using Ublk.Specification;
using Ublk.Targets;

namespace Ublk.Live;

/// <summary>Copies a disk into a new file while it is in use. What is zero takes no space there.</summary>
internal sealed class DiskMove : DiskCopy
{
    private readonly BlockTarget _source;
    private readonly BlockTarget _destination;

    private DiskMove(OpenedDisk former, OpenedDisk next, ChangedRanges changes)
        : base(former, new ChangeNotingTarget(former.Target, changes), next, changes) =>
        (Former, _source, _destination) = (former, former.Bare, next.Bare);

    /// <inheritdoc/>
    public override OpenedDisk Former { get; }

    /// <summary>Opens the new file for it.</summary>
    /// <param name="host">The worker.</param>
    /// <param name="former">The disk.</param>
    /// <param name="specification">The device with the new file, which reads as zeroes, as its disk.</param>
    /// <exception cref="UblkException">The new file cannot be opened, or cannot be the disk; it is not open.</exception>
    public static DiskMove Open(ILiveHost host, OpenedDisk former, DeviceSpecification specification)
    {
        OpenedDisk next = host.Open(specification, former.Generation + 1, isReopened: false);
        try
        {
            host.RequireFit(next);

            // A disk that has grown is larger than its target was when it was opened.
            return new DiskMove(former, next, new ChangedRanges(next.Target.Geometry.Size));
        }
        catch
        {
            next.Target.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public override void Dispose() => Next.Target.Dispose();

    /// <inheritdoc/>
    protected override void CopyRange(CopyQueue source, CopyQueue destination, long offset, int length, bool isFirst)
    {
        if (_source.ReadsAsZeroes(offset, length))
        {
            WriteZeroes(destination, offset, length, isFirst);
            return;
        }

        IoBuffer data = default;
        source.Run(
            length,
            (request, buffer) => _source.HandleAsync(request.Derive(IoOperation.Read, offset, length, data = buffer)),
            $"{_source.BackingPath} cannot be read");
        while (data.Length > 0)
        {
            int zeroes = ZeroBlocks.CountZeroes(data.Span);
            if (zeroes > 0)
            {
                WriteZeroes(destination, offset, zeroes, isFirst);
            }

            int written = ZeroBlocks.CountData(data.Span[zeroes..]);
            if (written > 0)
            {
                Write(destination, offset + zeroes, data.Slice(zeroes, written));
            }

            data = data.Slice(zeroes + written);
            offset += zeroes + written;
        }
    }

    private void Write(CopyQueue destination, long offset, IoBuffer data) =>
        Run(destination, request => request.Derive(IoOperation.Write, offset, data.Length, data));

    // The file reads as zeroes where nothing was copied.
    private void WriteZeroes(CopyQueue destination, long offset, int length, bool isFirst)
    {
        if (!isFirst)
        {
            Run(destination, request => request.Derive(IoOperation.WriteZeroes, offset, length, default));
        }
    }

    private void Run(CopyQueue destination, Func<IoRequest, IoRequest> derive) => destination.Run(
        0, (request, _) => _destination.HandleAsync(derive(request)), $"{_destination.BackingPath} cannot be written");
}

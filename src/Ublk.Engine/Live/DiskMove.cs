using Microsoft.Win32.SafeHandles;
using Ublk.Images;
using Ublk.Io;
using Ublk.Specification;
using Ublk.Targets;

namespace Ublk.Live;

/// <summary>Copies a disk to another place while it is in use. What is zero takes no space in a new file.</summary>
internal sealed class DiskMove : DiskCopy
{
    private readonly BlockTarget _source;
    private readonly BlockTarget _destination;
    private readonly bool _isBlank;

    private DiskMove(OpenedDisk former, OpenedDisk next, ChangedRanges changes, MoveOrder order)
        : base(former, new ChangeNotingTarget(former.Target, changes), next, changes)
    {
        (Former, _source, _destination, _isBlank) = (former, former.Bare, next.Bare, order.IsBlank);
        DestinationFiles = order.IsMirror ? [.. former.Target.Files, .. next.Target.Files] : next.Target.Files;
    }

    /// <inheritdoc/>
    public override OpenedDisk Former { get; }

    /// <inheritdoc/>
    protected override IReadOnlyList<SafeFileHandle> DestinationFiles { get; }

    /// <summary>Opens the other place for it.</summary>
    /// <param name="host">The worker.</param>
    /// <param name="former">The disk.</param>
    /// <param name="specification">The device with the other place as its disk.</param>
    /// <param name="order">What is copied.</param>
    /// <exception cref="UblkException">The other place cannot be opened, or cannot be the disk; it is not open.</exception>
    public static DiskMove Open(ILiveHost host, OpenedDisk former, DeviceSpecification specification, MoveOrder order)
    {
        OpenedDisk next = host.Open(specification, former.Generation + 1, isReopened: false,
            firstFile: order.IsMirror ? former.Target.Files.Count : 0);
        try
        {
            if (next.Target.Geometry.Size < order.Size)
            {
                throw new UblkException(UblkError.InvalidArgument,
                    $"{next.Target.BackingPath} has {next.Target.Geometry.Size} bytes, and the disk has {order.Size}. Choose a destination "
                        + "of at least this size.",
                    operation: "move", deviceId: specification.Id);
            }

            host.RequireFit(next);
            return new DiskMove(former, next, new ChangedRanges(order.Size), order);
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

    private void Write(CopyQueue destination, long offset, IoBuffer data)
    {
        while (data.Length > 0)
        {
            IoBuffer part = data.Slice(0, int.Min(data.Length, _destination.Geometry.MaxIoSize));
            long position = offset;
            Run(destination, 0, (request, _) => request.Derive(IoOperation.Write, position, part.Length, part));
            data = data.Slice(part.Length);
            offset += part.Length;
        }
    }

    private void WriteZeroes(CopyQueue destination, long offset, int length, bool isFirst)
    {
        if (isFirst && _isBlank)
        {
            return;
        }

        if (_destination.Geometry.WriteZeroes)
        {
            Run(destination, 0, (request, _) => request.Derive(IoOperation.WriteZeroes, offset, length, default));
            return;
        }

        for (int done = 0, part; done < length; done += part)
        {
            part = int.Min(length - done, _destination.Geometry.MaxIoSize);
            long position = offset + done;
            Run(destination, part, (request, buffer) =>
            {
                buffer.Span.Clear();
                return request.Derive(IoOperation.Write, position, buffer.Length, buffer);
            });
        }
    }

    private void Run(CopyQueue destination, int length, Func<IoRequest, IoBuffer, IoRequest> derive) => destination.Run(
        length, (request, buffer) => _destination.HandleAsync(derive(request, buffer)), $"{_destination.BackingPath} cannot be written");
}

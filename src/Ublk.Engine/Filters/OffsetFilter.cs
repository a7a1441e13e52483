using Ublk.Io;
using Ublk.Targets;

namespace Ublk.Filters;

/// <summary>Shows a part of the disk behind it.</summary>
internal sealed class OffsetFilter : FilterTarget
{
    private readonly long _start;

    /// <summary>Shows a range.</summary>
    /// <param name="inner">The disk.</param>
    /// <param name="start">Its first byte.</param>
    /// <param name="length">Bytes in it; null for all that follow.</param>
    /// <exception cref="UblkException">The range is not one of whole blocks inside the disk.</exception>
    internal OffsetFilter(BlockTarget inner, long start, long? length)
        : base(inner)
    {
        TargetGeometry disk = inner.Geometry;
        long size = length ?? disk.Size - start;
        if (start % disk.LogicalBlockSize != 0 || size % disk.LogicalBlockSize != 0 || size <= 0 || start < 0 || start > disk.Size - size)
        {
            throw new UblkException(UblkError.InvalidArgument,
                $"There are no {(size > 0 ? $"{size} bytes" : "bytes")} from {start} on in a disk of {disk.Size} bytes "
                    + $"and blocks of {disk.LogicalBlockSize}.");
        }

        _start = start;
        Geometry = disk with { Size = size };
    }

    /// <summary>The catalogue's entry.</summary>
    public static FilterDefinition Definition { get; } = new(
        "Offset",
        "Exposes a part of the disk.",
        [
            new TargetOption("Offset", TargetOptionKind.Size, "The offset of the first byte.", IsMandatory: true),
            new TargetOption("Length", TargetOptionKind.Size, "The length in bytes; up to the end of the disk by default."),
        ],
        (inner, options) => new OffsetFilter(inner, options.GetNumber("Offset")!.Value, options.GetNumber("Length")));

    /// <inheritdoc/>
    public override TargetGeometry Geometry { get; }

    /// <inheritdoc/>
    public override IoTask<int> HandleAsync(IoRequest request) => Inner.HandleAsync(request.Operation == IoOperation.Flush
        ? request
        : request.Derive(request.Operation, _start + request.Offset, request.Length, request.Buffer));
}

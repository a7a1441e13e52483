using Ublk.Io;
using Ublk.Targets;

namespace Ublk.Tests.Targets;

/// <summary>A disk in memory, to stand behind a filter.</summary>
internal sealed class MemoryTarget : BlockTarget
{
    public MemoryTarget(int size, int blockSize = 512) =>
        (Data, Geometry) = (new byte[size],
            new TargetGeometry { Size = size, LogicalBlockSize = blockSize, DiscardGranularity = 4096, WriteZeroes = true });

    public byte[] Data { get; }

    /// <summary>How many requests came here.</summary>
    public int Requests { get; private set; }

    public bool IsDisposed { get; private set; }

    public override TargetGeometry Geometry { get; }

    public override IoTask<int> HandleAsync(IoRequest request)
    {
        Requests++;
        Span<byte> range = Data.AsSpan((int)request.Offset, (int)request.Length);
        switch (request.Operation)
        {
            case IoOperation.Read:
                range.CopyTo(request.Buffer.Span);
                break;
            case IoOperation.Write:
                request.Buffer.Span.CopyTo(range);
                break;
            case IoOperation.Discard or IoOperation.WriteZeroes:
                range.Clear();
                break;
        }

        return 0;
    }

    protected override void Dispose(bool disposing)
    {
        IsDisposed = true;
        base.Dispose(disposing);
    }
}

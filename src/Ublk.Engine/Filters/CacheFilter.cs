using Ublk.Io;
using Ublk.Targets;

namespace Ublk.Filters;

/// <summary>Keeps data that was read in memory, and answers further reads of it from there. Writes go through.</summary>
internal sealed class CacheFilter : FilterTarget
{
    private readonly CacheLines _lines;

    private CacheFilter(BlockTarget inner, long size)
        : base(inner) => _lines = new CacheLines(size);

    /// <summary>The catalogue's entry.</summary>
    public static FilterDefinition Definition { get; } = new(
        "Cache",
        "Caches reads in memory.",
        [new TargetOption("Cache", TargetOptionKind.Size, "The size of the cache in bytes; 64 MiB by default.")],
        (inner, options) => new CacheFilter(inner, options.GetNumber("Cache") ?? 64 << 20));

    /// <inheritdoc/>
    /// <remarks>What is kept must be copied.</remarks>
    public override bool ForwardsData => false;

    /// <inheritdoc/>
    public override IoTask<int> HandleAsync(IoRequest request) => request.Operation switch
    {
        IoOperation.Read => _lines.TryRead(request.Offset, request.Buffer.Span) ? 0 : ReadAsync(request),
        IoOperation.Flush => Inner.HandleAsync(request),
        _ => ChangeAsync(request),
    };

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        base.Dispose(disposing);
        if (disposing)
        {
            _lines.Dispose();
        }
    }

    private async IoTask<int> ReadAsync(IoRequest request)
    {
        long start = _lines.Now;
        int result = await Inner.HandleAsync(request);
        if (result >= 0)
        {
            _lines.Fill(request.Offset, request.Buffer.Span, start);
        }

        return result;
    }

    // Invalidated before the change, so that no read returns old data after it, and again after it, for reads in between.
    private async IoTask<int> ChangeAsync(IoRequest request)
    {
        long offset = request.Offset;
        long length = request.Length;
        _lines.Forget(offset, length);
        try
        {
            return await Inner.HandleAsync(request);
        }
        finally
        {
            _lines.Forget(offset, length);
        }
    }
}

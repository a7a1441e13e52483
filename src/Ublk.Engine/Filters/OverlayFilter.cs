using Microsoft.Win32.SafeHandles;
using Ublk.Interop;
using Ublk.Io;
using Ublk.Targets;

namespace Ublk.Filters;

/// <summary>Keeps what is written elsewhere, in memory or in a file, so that the disk behind it stays as it is.</summary>
/// <remarks>
/// What is kept is kept by the block, the smallest unit of a request, so no write ever needs a part of what was there before, and
/// blocks need no lock: a bit says where each of them is.
/// </remarks>
internal sealed class OverlayFilter : FilterTarget
{
    private readonly OverlayFile? _file;
    private readonly BlockTarget _store;
    private readonly OverlayMap _map;
    private readonly OverlayState? _state;
    private readonly int _blockSize;

    /// <summary>Keeps the blocks of an overlay in front of a disk, and owns both.</summary>
    /// <param name="inner">The disk.</param>
    /// <param name="store">Where the blocks are kept.</param>
    /// <param name="map">Which of them are.</param>
    /// <param name="file">The file that has both; null for another place.</param>
    /// <param name="state">What outlives the worker; null where nothing does.</param>
    internal OverlayFilter(BlockTarget inner, BlockTarget store, OverlayMap map, OverlayFile? file = null, OverlayState? state = null)
        : base(inner)
    {
        _file = file;
        _blockSize = inner.Geometry.LogicalBlockSize;
        _store = store;
        _map = map;
        _state = state;
        state?.LoadInto(_map);
        Files = file is null ? inner.Files : [.. inner.Files, file.Backing.Handle];
        Geometry = inner.Geometry with
        {
            ReadOnly = false,
            VolatileCache = file is not { IsTemporary: true },
            DiscardGranularity = 0,
            WriteZeroes = false,
        };
    }

    /// <summary>The catalogue's entry.</summary>
    public static FilterDefinition Definition { get; } = new(
        "Overlay",
        "Stores writes elsewhere; the disk below does not change.",
        [new TargetOption("Overlay", TargetOptionKind.Path,
            "The file that stores the writes, created if missing. By default they are stored in memory until the disk is removed.")],
        Wrap)
    {
        OnlyReads = true,
        WhyNotRecoverable = options => options.GetText("Overlay") is null
            ? "An overlay in memory is lost with its worker, so a new worker cannot serve the disk. Use an overlay in a file."
            : null,
    };

    /// <inheritdoc/>
    public override TargetGeometry Geometry { get; }

    /// <inheritdoc/>
    public override IReadOnlyList<SafeFileHandle> Files { get; }

    /// <inheritdoc/>
    public override IoTask<int> HandleAsync(IoRequest request) => request.Operation switch
    {
        IoOperation.Read => ReadAsync(request),
        IoOperation.Write => WriteAsync(request),
        IoOperation.Flush => FlushAsync(request),
        _ => -Libc.EOPNOTSUPP,
    };

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _file?.Save(_map);
            _map.Dispose();
            _state?.Dispose();
            _store.Dispose();
        }

        base.Dispose(disposing);
    }

    private static OverlayFilter Wrap(BlockTarget inner, TargetOptions options)
    {
        OverlayFile file = options.GetText("Overlay") is { } path
            ? OverlayFile.Open(path, inner.Geometry, options.FormerGenerations)
            : OverlayFile.CreateInMemory(inner.Geometry);
        try
        {
            int index = inner.Files.Count;
            if (!file.IsTemporary)
            {
                options.Generations[file.Backing.Path] = file.Generation;
            }

            return new OverlayFilter(inner, file.OpenData(index), file.OpenMap(index), file,
                file.IsTemporary || options.StatePath is null
                    ? null
                    : new OverlayState(options.StatePath, file.Backing.Path, file.Generation));
        }
        catch
        {
            file.Backing.Dispose();
            throw;
        }
    }

    // Where all of it is in one place, the request goes there as it is.
    private IoTask<int> ReadAsync(IoRequest request)
    {
        int run = _map.RunLength(request.Offset / _blockSize, request.Length / _blockSize, out bool isKept);
        return (long)run * _blockSize == request.Length ? TargetOf(isKept).HandleAsync(request) : ReadPartsAsync(request);
    }

    private async IoTask<int> ReadPartsAsync(IoRequest request)
    {
        for (int done = 0; done < request.Length;)
        {
            long offset = request.Offset + done;
            int length = _map.RunLength(offset / _blockSize, (request.Length - done) / _blockSize, out bool isKept) * _blockSize;
            int result = await TargetOf(isKept)
                .HandleAsync(request.Derive(IoOperation.Read, offset, length, request.Buffer.Slice(done, length)));
            if (result < 0)
            {
                return result;
            }

            done += length;
        }

        return 0;
    }

    private async IoTask<int> WriteAsync(IoRequest request)
    {
        int result = await _store.HandleAsync(request);
        if (result < 0)
        {
            return result;
        }

        bool isNews = _map.Add(request.Offset / _blockSize, request.Length / _blockSize);
        return request.IsForceUnitAccess || (isNews && !IsNoted(request)) ? await FlushAsync(request) : result;
    }

    // Whether the next worker would know of the write, should this one die.
    private bool IsNoted(IoRequest request) => _state is null
        || _state.TryNote(_map.WordsOf(request.Offset / _blockSize, request.Length / _blockSize, out long first), first);

    // The data first: a bit that reaches the file before its block would show what never was on the disk.
    private async IoTask<int> FlushAsync(IoRequest request)
    {
        await _map.AwaitTurnAsync();
        using OverlayMap.Flush flush = _map.BeginFlush();
        int result = await _store.HandleAsync(request.Derive(IoOperation.Flush, 0, 0, default));
        while (result >= 0 && flush.TryTake(out long position, out IoBuffer page))
        {
            result = await _map.Store.HandleAsync(request.Derive(IoOperation.Write, position, page.Length, page));
        }

        if (result >= 0 && flush.HasWritten)
        {
            result = await _map.Store.HandleAsync(request.Derive(IoOperation.Flush, 0, 0, default));
        }

        if (result >= 0)
        {
            flush.Succeed();
        }

        return int.Min(result, 0);
    }

    private BlockTarget TargetOf(bool isKept) => isKept ? _store : Inner;
}

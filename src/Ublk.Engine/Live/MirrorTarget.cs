using Microsoft.Win32.SafeHandles;
using Ublk.Filters;
using Ublk.Io;
using Ublk.Targets;

namespace Ublk.Live;

/// <summary>A disk with the same content in two places, its legs: each change goes to both before it is answered.</summary>
/// <remarks>A leg that fails a change which the other completes is dropped. This is recorded before the change is answered.</remarks>
/// <param name="first">The leg that is read.</param>
/// <param name="second">The other leg. Its operations number the files of both legs, those of the first before its own.</param>
/// <param name="drop">
/// Records that a leg is dropped, 0 or 1, because of an errno; called on no queue's thread. An exception leaves the leg in the mirror.
/// </param>
internal sealed class MirrorTarget(BlockTarget first, BlockTarget second, Action<int, int> drop) : FilterTarget(first)
{
    private const int Both = -1;

    private readonly BlockTarget[] _legs = [first, second];
    private readonly RangeOrder _order = new();
    private readonly Lock _lock = new();
    private Task<bool>? _dropping;

    // The leg that is left.
    private volatile int _left = Both;

    /// <inheritdoc/>
    public override IReadOnlyList<SafeFileHandle> Files { get; } = [.. first.Files, .. second.Files];

    /// <inheritdoc/>
    public override bool ForwardsData => _legs.All(leg => leg.ForwardsData);

    /// <inheritdoc/>
    public override IoTask<int> HandleAsync(IoRequest request) => _left is var left and not Both ? _legs[left].HandleAsync(request)
        : request.Operation switch
        {
            IoOperation.Read => ReadAsync(request),
            IoOperation.Flush => ChangeLegsAsync(request),
            _ => ChangeAsync(request),
        };

    /// <inheritdoc/>
    internal override void Finish()
    {
        try
        {
            Finish(0);
        }
        finally
        {
            Finish(1);
        }
    }

    /// <summary>Writes back the remaining data of a leg, unless it was dropped.</summary>
    /// <exception cref="UblkException">Something could not be written.</exception>
    internal void Finish(int leg)
    {
        if (_left == Both || _left == leg)
        {
            _legs[leg].Finish();
        }
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        base.Dispose(disposing);
        if (disposing)
        {
            _legs[1].Dispose();
        }
    }

    private static async IoTask<int> AnswerAsync(BlockTarget leg, IoRequest request)
    {
        try
        {
            return RequestResult.ForDriver(request, await leg.HandleAsync(request));
        }
        catch (Exception exception)
        {
            return RequestResult.ForException(exception);
        }
    }

    // The other leg has the same data.
    private async IoTask<int> ReadAsync(IoRequest request)
    {
        int result = await AnswerAsync(_legs[0], request);
        if (result >= 0 || _left == 0)
        {
            return result;
        }

        int other = await AnswerAsync(_legs[1], request);
        return other >= 0 ? other : result;
    }

    private async IoTask<int> ChangeAsync(IoRequest request)
    {
        RangeOrder.Entry entry = _order.Enter(request.Offset, request.Length, out IoTask<int> turn);
        try
        {
            await turn;
            return await ChangeLegsAsync(request);
        }
        finally
        {
            _order.Leave(entry);
        }
    }

    private async IoTask<int> ChangeLegsAsync(IoRequest request)
    {
        // A leg may have been dropped while the request waited.
        if (_left is var left and not Both)
        {
            return await _legs[left].HandleAsync(request);
        }

        IoTask<int> first = AnswerAsync(_legs[0], request);
        IoTask<int> second = AnswerAsync(_legs[1], request.Twin());
        int firstResult = await first;
        int secondResult = await second;
        return firstResult >= 0 && secondResult >= 0 ? firstResult : await DecideAsync(firstResult, secondResult);
    }

    private async IoTask<int> DecideAsync(int first, int second)
    {
        if (_left == Both && (first >= 0 || second >= 0))
        {
            int failed = first < 0 ? 0 : 1;
            await DropAsync(failed, int.Min(first, second));
        }

        return _left switch
        {
            0 => first,
            1 => second,
            _ => int.Min(first, second),
        };
    }

    // Once, whatever requests fail meanwhile.
    private Task<bool> DropAsync(int leg, int result)
    {
        lock (_lock)
        {
            return _dropping ??= Task.Run(() => Drop(leg, -result));
        }
    }

    private bool Drop(int leg, int errno)
    {
        try
        {
            drop(leg, errno);
            _left = 1 - leg;
        }
        catch (UblkException)
        {
            // The next failure tries it again.
            lock (_lock)
            {
                _dropping = null;
            }
        }

        return _left != Both;
    }
}

using System.Runtime.CompilerServices;
using Microsoft.Win32.SafeHandles;
using Ublk.Serving;
using Ublk.Targets.Loop;

namespace Ublk.Targets.Fault;

/// <summary>A loop disk that is slow, fails or hangs as it is told, to test what stands on it.</summary>
public sealed class FaultTarget : BlockTarget
{
    private static readonly Task<int> Never = new TaskCompletionSource<int>().Task;

    private readonly LoopTarget _disk;
    private readonly FaultPlan _plan;

    private FaultTarget(LoopTarget disk, FaultPlan plan)
    {
        _disk = disk;
        _plan = plan;
    }

    /// <summary>The catalogue's entry.</summary>
    public static TargetDefinition Definition { get; } = new(
        "Fault", "Serves a file, and is slow, fails or hangs as told.", [.. LoopTarget.Definition.Options, .. FaultPlan.Options], Open)
    {
        OpenStorage = (options, readOnly) => new LoopStorage(options, readOnly),
    };

    /// <inheritdoc/>
    public override TargetGeometry Geometry => _disk.Geometry;

    /// <inheritdoc/>
    public override IReadOnlyList<SafeFileHandle> Files => _disk.Files;

    /// <inheritdoc/>
    public override string BackingPath => _disk.BackingPath;

    /// <summary>Opens a disk with faults.</summary>
    /// <exception cref="UblkException">The options contradict each other, or the file cannot back a disk.</exception>
    public static FaultTarget Open(TargetOptions options)
    {
        FaultPlan plan = new(options);
        return new FaultTarget(LoopTarget.Open(options), plan);
    }

    /// <inheritdoc/>
    public override bool ForwardsData => _disk.ForwardsData;

    /// <inheritdoc/>
    public override int ZeroCopyThreshold => _disk.ZeroCopyThreshold;

    /// <inheritdoc/>
    public override ValueTask<int> HandleAsync(IoRequest request)
    {
        if (_plan.NextHangs())
        {
            return new ValueTask<int>(Never);
        }

        int error = _plan.NextError(request.Operation);
        return _plan.Delay > TimeSpan.Zero ? AnswerLateAsync(request, error) : AnswerAsync(request, error);
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _disk.Dispose();
        }

        base.Dispose(disposing);
    }

    private ValueTask<int> AnswerAsync(IoRequest request, int error) =>
        error == 0 ? _disk.HandleAsync(request) : new ValueTask<int>(error);

    [AsyncMethodBuilder(typeof(IoTaskMethodBuilder<>))]
    private async ValueTask<int> AnswerLateAsync(IoRequest request, int error)
    {
        await request.Queue.DelayAsync(_plan.Delay);
        return await AnswerAsync(request, error);
    }
}

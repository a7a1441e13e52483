using Ublk.Counters;
using Ublk.Devices;
using Ublk.Interop;
using Ublk.Targets;

namespace Ublk.Lifecycle;

/// <summary>What is behind a disk elsewhere, as large as the disk's worker has found it: the worker cannot reach more.</summary>
internal sealed class RemoteStorage : DiskStorage
{
    private readonly string _target;

    private RemoteStorage(string target, long? size)
    {
        _target = target;
        Size = size;
    }

    /// <inheritdoc/>
    public override long? Size { get; }

    /// <summary>What the worker of a device counts.</summary>
    public static RemoteStorage Of(in UblkDeviceInfo info, TargetDefinition target) => new(target.Name,
        StateDirectory.TryReadCounters(info) is { } counters
            && TargetCounterSlot.Read(counters).TryGetValue(target.SizeCounter!, out long size)
                ? size
                : null);

    /// <inheritdoc/>
    public override IReadOnlyDictionary<string, string> Resize(long size) => throw new UblkException(UblkError.NotSupported,
        $"The {_target} target cannot change the size of what is behind its disk. Change it there, and omit -Size.", operation: "resize");

    /// <inheritdoc/>
    public override void Undo()
    {
    }
}

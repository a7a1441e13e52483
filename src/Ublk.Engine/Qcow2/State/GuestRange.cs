using Ublk.Io;

namespace Ublk.Qcow2.State;

/// <summary>Clusters of the disk that a write is getting places for; other writes to them wait until it has.</summary>
internal sealed class GuestRange
{
    private QueueWaiter? _waiters;

    /// <summary>The first cluster, counted from the disk's beginning.</summary>
    public long First { get; set; }

    /// <summary>How many.</summary>
    public int Count { get; set; }

    /// <summary>Where the first one's place is in the image file.</summary>
    public long HostOffset { get; set; }

    /// <summary>Whether the places were never used, so that they read as zeroes.</summary>
    public bool IsVirgin { get; set; }

    /// <summary>The next in the list this is in.</summary>
    public GuestRange? Next { get; set; }

    /// <summary>Waits until the write has its places.</summary>
    public ValueTask<int> WaitAsync() => QueueWaiter.Join(ref _waiters);

    /// <summary>Takes the waiters, to be woken.</summary>
    public QueueWaiter? TakeWaiters()
    {
        QueueWaiter? waiters = _waiters;
        _waiters = null;
        return waiters;
    }
}

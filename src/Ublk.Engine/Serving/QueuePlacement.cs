using Ublk.Control;

namespace Ublk.Serving;

/// <summary>On which CPUs the threads of a queue run.</summary>
internal static class QueuePlacement
{
    /// <summary>
    /// The user's choice, or else one CPU of those the kernel sends to the queue: a thread that stays on its CPU serves
    /// up to half as much again as one that wanders.
    /// </summary>
    /// <param name="wanted">CPU lists of the user: none, one for all queues, or one for each.</param>
    /// <param name="deviceId">Spreads the devices over the CPUs.</param>
    /// <param name="share">The thread's part of the queue.</param>
    /// <param name="kernel">The CPUs whose requests come to the queue.</param>
    public static CpuSet Choose(IReadOnlyList<string> wanted, int deviceId, QueueShare share, CpuSet kernel) => wanted.Count > 0
        ? Choose(wanted, share)
        : Spread(deviceId, share, kernel, CpuSet.OfThisProcess());

    /// <summary>The user's choice: the queue's list, dealt out among its threads where there is a CPU for each.</summary>
    /// <param name="wanted">One CPU list for all queues, or one for each.</param>
    /// <param name="share">The thread's part of the queue.</param>
    public static CpuSet Choose(IReadOnlyList<string> wanted, QueueShare share)
    {
        CpuSet list = CpuSet.Parse(wanted.Count == 1 ? wanted[0] : wanted[share.QueueId]);
        int[] cpus = [.. list.Cpus];
        return cpus.Length < share.Count
            ? list
            : CpuSet.Of(cpus.Where((_, place) => place % share.Count == share.Index));
    }

    /// <summary>One CPU of the kernel's set that this process may use; any it may use where the sets are apart.</summary>
    internal static CpuSet Spread(int deviceId, QueueShare share, CpuSet kernel, CpuSet allowed)
    {
        int[] cpus = [.. kernel.Intersect(allowed).Cpus];
        if (cpus.Length == 0)
        {
            cpus = [.. allowed.Cpus];
        }

        return CpuSet.Of([cpus[(deviceId + (share.QueueId * share.Count) + share.Index) % cpus.Length]]);
    }
}

using Ublk.Control;

namespace Ublk.Serving;

/// <summary>On which CPUs a queue's thread runs.</summary>
internal static class QueuePlacement
{
    /// <summary>
    /// The user's choice, or else one CPU of those the kernel sends to the queue: a thread that stays on its CPU serves
    /// up to half as much again as one that wanders.
    /// </summary>
    /// <param name="wanted">CPU lists of the user: none, one for all queues, or one for each.</param>
    /// <param name="deviceId">Spreads the devices over the CPUs.</param>
    /// <param name="queueId">The queue.</param>
    /// <param name="kernel">The CPUs whose requests come to the queue.</param>
    public static CpuSet Choose(IReadOnlyList<string> wanted, int deviceId, int queueId, CpuSet kernel) => wanted.Count switch
    {
        0 => Spread(deviceId, queueId, kernel, CpuSet.OfThisProcess()),
        1 => CpuSet.Parse(wanted[0]),
        _ => CpuSet.Parse(wanted[queueId]),
    };

    /// <summary>One CPU of the kernel's set that this process may use; any it may use where the sets are apart.</summary>
    internal static CpuSet Spread(int deviceId, int queueId, CpuSet kernel, CpuSet allowed)
    {
        int[] cpus = [.. kernel.Intersect(allowed).Cpus];
        if (cpus.Length == 0)
        {
            cpus = [.. allowed.Cpus];
        }

        return CpuSet.Of(cpus[(deviceId + queueId) % cpus.Length]);
    }
}

using Microsoft.Win32.SafeHandles;
using Ublk.Control;
using Ublk.Devices;
using Ublk.Serving;
using Ublk.Specification;

namespace Ublk.Lifecycle;

/// <summary>Moves the queues' threads of live devices to other CPUs.</summary>
internal static class DeviceAffinity
{
    /// <summary>Binds the threads, and records it for the next worker.</summary>
    /// <param name="id">The device.</param>
    /// <param name="lists">CPU lists such as <c>0-3,8</c>: one for all queues, or one for each.</param>
    /// <param name="cancellation">Gives up before anything is changed.</param>
    /// <exception cref="UblkException">The device is not ours or not live, or a list does not fit it; nothing is changed.</exception>
    public static void Set(int id, IReadOnlyList<string> lists, CancellationToken cancellation)
    {
        using ControlDevice control = new();
        using SafeFileHandle idLock = StateDirectory.Own.LockDevice(id, cancellation);
        DeviceRecord record = DeviceTransitions.LiveRecordOf(control, id, cancellation);
        DeviceSpecification.CheckAffinity(lists, record.Specification.QueueCount);
        int threads = record.Specification.ThreadsPerQueue;
        CpuSet[] choices =
        [
            .. record.Queues.Select((queue, place) => QueuePlacement.Choose(lists, new QueueShare(queue.Id, place % threads, threads))),
        ];
        QueueInfo[] queues = [.. record.Queues.Select((queue, place) => queue with { Affinity = $"{choices[place]}" })];
        RequireThreads(record);
        Bind(record.Queues, choices);
        StateDirectory.Own.Write(record with { Queues = queues, Specification = record.Specification with { QueueAffinity = lists } });
    }

    // A thread's id is used again by any process once the thread is gone.
    private static void RequireThreads(DeviceRecord record)
    {
        foreach (QueueInfo queue in record.Queues)
        {
            if (!Directory.Exists($"/proc/{record.ProcessId}/task/{queue.ThreadId}"))
            {
                throw new UblkException(UblkError.WorkerDied,
                    $"Process {record.ProcessId} has no thread {queue.ThreadId}, which served queue {queue.Id}.",
                    deviceId: record.Specification.Id);
            }
        }
    }

    private static void Bind(IReadOnlyList<QueueInfo> queues, CpuSet[] choices)
    {
        CpuSet[] former = [.. queues.Select(queue => CpuSet.OfThread(queue.ThreadId))];
        int moved = 0;
        try
        {
            for (; moved < queues.Count; moved++)
            {
                choices[moved].Bind(queues[moved].ThreadId);
            }
        }
        catch (UblkException)
        {
            while (moved-- > 0)
            {
                former[moved].Bind(queues[moved].ThreadId);
            }

            throw;
        }
    }
}

using Ublk.Io;

namespace Ublk.Qcow2.Data;

/// <summary>The compressed clusters that were read last, decompressed. Callable from the threads of all queues.</summary>
/// <remarks>
/// A descriptor is the key. Its data does not change while the image is open: compressed clusters are never written, and no entry refers
/// to a place that has become free as to a compressed cluster again.
/// </remarks>
/// <param name="clusterSize">Bytes of a cluster.</param>
internal sealed class DecompressedClusters(int clusterSize) : IDisposable
{
    // Enough for the clusters of requests that follow each other.
    private const int KeptBytes = 1 << 20;

    private readonly int _kept = int.Max(2, KeptBytes / clusterSize);
    private readonly BufferPool _buffers = new(clusterSize, kept: 4);
    private readonly Lock _lock = new();

    // From the most recently used one on.
    private Cluster? _first;
    private int _count;
    private Cluster? _free;

    /// <summary>Takes a cluster, until it is given back.</summary>
    /// <param name="descriptor">The entry's descriptor.</param>
    /// <param name="isNew">Whether the caller must fill its buffer and call <see cref="Complete"/>.</param>
    /// <returns>The cluster; one that is not new may not be filled yet: see <see cref="WaitAsync"/>.</returns>
    public Cluster Take(ulong descriptor, out bool isNew)
    {
        lock (_lock)
        {
            Cluster? cluster = Find(descriptor);
            isNew = cluster is null;
            if (cluster is null)
            {
                Trim(_kept - 1);
                cluster = _free ?? new Cluster();
                _free = cluster.Next;
                cluster.Begin(descriptor, _buffers.Rent());
                _count++;
            }
            else
            {
                Unlink(cluster);
            }

            cluster.Next = _first;
            _first = cluster;
            cluster.Users++;
            return cluster;
        }
    }

    /// <summary>Waits until a cluster that another request fills is filled.</summary>
    /// <returns>0 or a negative errno.</returns>
    public IoTask<int> WaitAsync(Cluster cluster)
    {
        lock (_lock)
        {
            return cluster.Result is { } result ? result : QueueWaiter.Join(ref cluster.Waiters);
        }
    }

    /// <summary>Has those that wait for a cluster go on.</summary>
    /// <param name="cluster">A new cluster.</param>
    /// <param name="result">0 if it is filled, or a negative errno: the next request tries again.</param>
    public void Complete(Cluster cluster, int result)
    {
        QueueWaiter? waiters;
        lock (_lock)
        {
            cluster.Result = result;
            waiters = QueueWaiter.TakeAll(ref cluster.Waiters);
        }

        QueueWaiter.WakeAll(waiters, result);
    }

    /// <summary>Gives a cluster back.</summary>
    public void Return(Cluster cluster)
    {
        lock (_lock)
        {
            cluster.Users--;
            Trim(_kept);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Trim(0);
        _buffers.Dispose();
    }

    private Cluster? Find(ulong descriptor)
    {
        Cluster? cluster = _first;
        while (cluster is not null && (cluster.Descriptor != descriptor || cluster.Result < 0))
        {
            cluster = cluster.Next;
        }

        return cluster;
    }

    // Lets go of the clusters that were not used for the longest time. Those in use can be more than are kept.
    private void Trim(int kept)
    {
        while (_count > kept)
        {
            Cluster? oldest = null;
            for (Cluster? cluster = _first; cluster is not null; cluster = cluster.Next)
            {
                oldest = cluster.Users == 0 ? cluster : oldest;
            }

            if (oldest is null)
            {
                return;
            }

            Unlink(oldest);
            _count--;
            _buffers.Return(oldest.Buffer!);
            oldest.Buffer = null;
            oldest.Next = _free;
            _free = oldest;
        }
    }

    private void Unlink(Cluster cluster)
    {
        ref Cluster? place = ref _first;
        while (place != cluster)
        {
            place = ref place!.Next;
        }

        place = cluster.Next;
    }

    /// <summary>A cluster's data.</summary>
    internal sealed class Cluster
    {
        /// <summary>The waiting requests.</summary>
        public QueueWaiter? Waiters;

        /// <summary>The next in the list that it is in.</summary>
        public Cluster? Next;

        /// <summary>The entry's descriptor.</summary>
        public ulong Descriptor { get; private set; }

        /// <summary>The data, while it is taken or kept.</summary>
        public AlignedBuffer? Buffer { get; set; }

        /// <summary>Requests that use the buffer.</summary>
        public int Users { get; set; }

        /// <summary>What came of filling it; null until then.</summary>
        public int? Result { get; set; }

        /// <summary>Makes it a new one.</summary>
        public void Begin(ulong descriptor, AlignedBuffer buffer)
        {
            Descriptor = descriptor;
            Buffer = buffer;
            Result = null;
        }
    }
}

using Ublk.Qcow2.Format;

namespace Ublk.Qcow2.AtRest;

/// <summary>How often each cluster of an image's file is referred to, in memory: 4 bytes a cluster, where any is referred to.</summary>
internal sealed class CountedReferences
{
    private const int ChunkBits = 14;
    private const int ChunkMask = (1 << ChunkBits) - 1;

    private readonly SortedDictionary<long, uint[]> _chunks = [];
    private long _lastChunkNumber = -1;
    private uint[] _lastChunk = [];
    private long _firstMaybeFree;
    private long _floor;

    /// <summary>The cluster after the last that is referred to.</summary>
    public long End
    {
        get
        {
            foreach ((long number, uint[] chunk) in _chunks.Reverse())
            {
                int last = chunk.AsSpan().LastIndexOfAnyExcept(0u);
                if (last >= 0)
                {
                    return (number << ChunkBits) + last + 1;
                }
            }

            return 0;
        }
    }

    /// <summary>A cluster's count.</summary>
    public uint this[long cluster]
    {
        get => Find(cluster) is { } chunk ? chunk[cluster & ChunkMask] : 0;
        set
        {
            if (Find(cluster) is not { } chunk)
            {
                if (value == 0)
                {
                    return;
                }

                chunk = _chunks[cluster >> ChunkBits] = new uint[1 << ChunkBits];
                (_lastChunkNumber, _lastChunk) = (cluster >> ChunkBits, chunk);
            }

            chunk[cluster & ChunkMask] = value;
            if (value == 0)
            {
                _firstMaybeFree = long.Max(_floor, long.Min(_firstMaybeFree, cluster));
            }
        }
    }

    /// <summary>The refcount blocks for clusters that have been referred to, in order; some may be named twice.</summary>
    public IEnumerable<long> BlocksIn(ClusterLayout layout)
    {
        foreach (long number in _chunks.Keys)
        {
            long last = (((number + 1) << ChunkBits) - 1) >> layout.RefcountBlockBits;
            for (long block = number << ChunkBits >> layout.RefcountBlockBits; block <= last; block++)
            {
                yield return block;
            }
        }
    }

    /// <summary>The greatest count in a refcount block.</summary>
    public uint GreatestIn(ClusterLayout layout, long block)
    {
        uint greatest = 0;
        long end = (block + 1) << layout.RefcountBlockBits;
        for (long cluster = block << layout.RefcountBlockBits; cluster < end; cluster++)
        {
            greatest = uint.Max(greatest, this[cluster]);
        }

        return greatest;
    }

    /// <summary>From now on, no cluster before this one is allocated.</summary>
    public void AllocateFrom(long cluster)
    {
        _floor = cluster;
        _firstMaybeFree = long.Max(_firstMaybeFree, cluster);
    }

    /// <summary>Finds free clusters that lie together, and counts one reference to each.</summary>
    /// <param name="count">How many; at least 1.</param>
    /// <returns>The first.</returns>
    public long Allocate(long count)
    {
        long start = _firstMaybeFree;
        for (long cluster = start; cluster - start < count; cluster++)
        {
            if (this[cluster] != 0)
            {
                start = cluster + 1;
            }
        }

        // Where one alone was wanted, none before it is free.
        _firstMaybeFree = count == 1 ? start + 1 : _firstMaybeFree;
        Add(start, count, 1);
        return start;
    }

    /// <summary>As many references more, or fewer, to clusters that lie together.</summary>
    public void Add(long first, long count, int change)
    {
        for (long cluster = first; cluster < first + count; cluster++)
        {
            this[cluster] = (uint)(this[cluster] + change);
        }
    }

    /// <summary>As many references more, or fewer, to the clusters that bytes of the file are in.</summary>
    public void Add(ClusterLayout layout, long offset, long length, int change)
    {
        (long first, long count) = layout.ClustersOf(offset, length);
        Add(first, count, change);
    }

    // Neighbours are mostly asked for together.
    private uint[]? Find(long cluster)
    {
        long number = cluster >> ChunkBits;
        if (number == _lastChunkNumber)
        {
            return _lastChunk;
        }

        if (!_chunks.TryGetValue(number, out uint[]? chunk))
        {
            return null;
        }

        (_lastChunkNumber, _lastChunk) = (number, chunk);
        return chunk;
    }
}

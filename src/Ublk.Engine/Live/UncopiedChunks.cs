using System.Numerics;
using Ublk.Io;

namespace Ublk.Live;

/// <summary>
/// The chunks of a disk that a backup is still to read, and the changes that wait for some of them. Usable from all threads.
/// </summary>
internal sealed class UncopiedChunks
{
    // 64 KiB, a cluster of the new image: 2 MiB of memory for a disk of 1 TiB.
    private const int ChunkBits = 16;

    private readonly Lock _lock = new();
    private readonly Queue<Change> _waiting = new();
    private readonly long _size;
    private readonly long _end;
    private readonly long[] _words;
    private long _position;

    /// <summary>A disk of which nothing is to be read.</summary>
    /// <param name="size">Its size in bytes.</param>
    public UncopiedChunks(long size)
    {
        _size = size;
        _end = EndOf(size);
        _words = new long[(_end + 63) / 64];
    }

    /// <summary>The bytes that are still to be read, in whole chunks.</summary>
    public long Length => _words.Sum(word => (long)BitOperations.PopCount((ulong)word)) << ChunkBits;

    /// <summary>Has a range read, before other threads use this object. What is beyond the disk's end is left out.</summary>
    public void Add(long offset, long length)
    {
        long end = long.Min(EndOf(offset + length), _end);
        for (long chunk = offset >> ChunkBits; chunk < end;)
        {
            int bit = (int)(chunk & 63);
            int bits = (int)long.Min(64 - bit, end - chunk);
            _words[chunk >> 6] |= -1L >>> (64 - bits) << bit;
            chunk += bits;
        }
    }

    /// <summary>Whether a range has a chunk that is still to be read. Takes no lock.</summary>
    public bool Intersects(long offset, long length) => Find(offset >> ChunkBits, EndOf(offset + length)) is not null;

    /// <summary>Waits until a range is read, which then comes before the others. For the thread of a queue.</summary>
    /// <returns>Always 0.</returns>
    public IoTask<int> WaitAsync(long offset, long length)
    {
        Change change = new(offset >> ChunkBits, EndOf(offset + length), QueueWaiter.Rent());
        lock (_lock)
        {
            if (Intersects(offset, length))
            {
                _waiting.Enqueue(change);
            }
            else
            {
                change.Waiter.Wake(0);
            }
        }

        return change.Waiter.Task;
    }

    /// <summary>What to read next: what a change waits for, or else what follows on the disk.</summary>
    /// <param name="maxLength">The longest range, in bytes.</param>
    /// <param name="offset">The first byte of the range.</param>
    /// <param name="length">Its length in bytes.</param>
    /// <returns>False when everything is read.</returns>
    public bool TryGetNext(int maxLength, out long offset, out int length)
    {
        long first;
        long end = _end;
        lock (_lock)
        {
            if (_waiting.TryPeek(out Change change))
            {
                first = Find(change.First, change.End)!.Value;
                end = change.End;
            }
            else
            {
                first = _position = Find(_position, _end) ?? _end;
            }
        }

        long next = first;
        while (next < end && next - first < maxLength >> ChunkBits && Find(next, next + 1) is not null)
        {
            next++;
        }

        offset = first << ChunkBits;
        length = (int)(long.Min(next << ChunkBits, _size) - long.Min(offset, _size));
        return length > 0;
    }

    /// <summary>A range was read: changes of it go on.</summary>
    public void Remove(long offset, int length)
    {
        for (long chunk = offset >> ChunkBits; chunk < EndOf(offset + length); chunk++)
        {
            Interlocked.And(ref _words[chunk >> 6], ~(1L << (int)(chunk & 63)));
        }

        Wake();
    }

    /// <summary>Nothing more is read, and nothing waits for that.</summary>
    public void Clear()
    {
        lock (_lock)
        {
            foreach (ref long word in _words.AsSpan())
            {
                Interlocked.Exchange(ref word, 0);
            }

            Wake();
        }
    }

    private static long EndOf(long bytes) => (bytes + (1L << ChunkBits) - 1) >> ChunkBits;

    // In the order in which they came, so the first in the queue always waits for something.
    private void Wake()
    {
        lock (_lock)
        {
            while (_waiting.TryPeek(out Change change) && Find(change.First, change.End) is null)
            {
                _waiting.Dequeue().Waiter.Wake(0);
            }
        }
    }

    // The first chunk of a range that is to be read. A disk that grows has none beyond its former end.
    private long? Find(long first, long end)
    {
        end = long.Min(end, _end);
        while (first < end)
        {
            long word = Volatile.Read(ref _words[first >> 6]) >>> (int)(first & 63);
            if (word != 0)
            {
                first += BitOperations.TrailingZeroCount(word);
                return first < end ? first : null;
            }

            first = (first | 63) + 1;
        }

        return null;
    }

    private readonly record struct Change(long First, long End, QueueWaiter Waiter);
}

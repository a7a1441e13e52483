using Ublk.Io;

namespace Ublk.Filters;

/// <summary>Blocks of a disk in memory, each in the one line it can be in. Callable from any thread.</summary>
internal sealed unsafe class CacheLines : IDisposable
{
    private const int Block = 4096;
    private const long None = -1;

    private readonly BufferMemory _data;
    private readonly Line[] _lines;
    private long _clock;

    /// <summary>Reserves the lines.</summary>
    /// <param name="size">Bytes of data to keep, in whole blocks.</param>
    /// <exception cref="UblkException">There is no room for a block, or no address space.</exception>
    public CacheLines(long size)
    {
        if (size is < Block or > 1L << 40)
        {
            throw new UblkException(UblkError.InvalidArgument, $"A cache must have from {Block} bytes to 1 TiB, not {size}.");
        }

        _lines = new Line[size / Block];
        Array.Fill(_lines, new Line { Block = None });
        _data = new BufferMemory(_lines.Length, Block);
    }

    /// <summary>The moment, as changes are counted: what is read from the disk now is not older.</summary>
    public long Now => Volatile.Read(ref _clock);

    /// <summary>Copies a range, if all of it is here.</summary>
    public bool TryRead(long offset, Span<byte> destination)
    {
        for (int done = 0; done < destination.Length;)
        {
            long block = (offset + done) / Block;
            int start = (int)((offset + done) % Block);
            int length = int.Min(Block - start, destination.Length - done);
            ref Line line = ref LineOf(block, out int index);
            line.Enter();
            bool isHere = line.Block == block;
            if (isHere)
            {
                DataOf(index).Slice(start, length).CopyTo(destination[done..]);
            }

            line.Exit();
            if (!isHere)
            {
                return false;
            }

            done += length;
        }

        return true;
    }

    /// <summary>Keeps the whole blocks of a range that was read, unless they were changed since.</summary>
    /// <param name="offset">The first byte.</param>
    /// <param name="data">What was read.</param>
    /// <param name="since">When the reading began.</param>
    public void Fill(long offset, ReadOnlySpan<byte> data, long since)
    {
        long end = (offset + data.Length) / Block;
        for (long block = (offset + Block - 1) / Block; block < end; block++)
        {
            ref Line line = ref LineOf(block, out int index);
            line.Enter();
            if (line.LastChange <= since)
            {
                data.Slice((int)((block * Block) - offset), Block).CopyTo(DataOf(index));
                line.Block = block;
            }

            line.Exit();
        }
    }

    /// <summary>Notes a change of a range: what was kept of it goes, and what was read before is not kept.</summary>
    public void Forget(long offset, long length)
    {
        long now = Interlocked.Increment(ref _clock);
        long first = offset / Block;
        long last = (offset + length - 1) / Block;

        // More blocks than lines need each line once.
        for (long block = first; block <= long.Min(last, first + _lines.Length - 1); block++)
        {
            ref Line line = ref LineOf(block, out _);
            line.Enter();
            line.LastChange = long.Max(line.LastChange, now);
            if (line.Block >= first && line.Block <= last)
            {
                line.Block = None;
            }

            line.Exit();
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _data.Dispose();

    private ref Line LineOf(long block, out int index)
    {
        index = (int)(block % _lines.Length);
        return ref _lines[index];
    }

    private Span<byte> DataOf(int index) => new((void*)_data.AddressOf(index), Block);

    /// <summary>A line; held for no longer than a block is copied.</summary>
    private struct Line
    {
        private int _isHeld;

        public long Block;

        public long LastChange;

        public void Enter()
        {
            SpinWait spin = default;
            while (Interlocked.CompareExchange(ref _isHeld, 1, 0) != 0)
            {
                spin.SpinOnce();
            }
        }

        public void Exit() => Volatile.Write(ref _isHeld, 0);
    }
}

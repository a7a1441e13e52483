using System.Numerics;
using System.Runtime.InteropServices;
using Ublk.Files;
using Ublk.Interop;
using Ublk.Io;
using Ublk.Targets;

namespace Ublk.Filters;

/// <summary>Which blocks of a disk are in an overlay: a bit for each, in memory that is touched on demand.</summary>
internal sealed unsafe class OverlayMap : IDisposable
{
    private const int Page = 4096;
    private const int BitsPerWord = 64;
    private const int BitsPerPage = Page * 8;

    private readonly BufferMemory _memory;
    private readonly ulong* _words;
    private readonly int _pages;
    private readonly int[] _isChanged;
    private readonly SemaphoreSlim _flushing = new(1);

    /// <summary>A map without a block in it.</summary>
    /// <param name="blocks">The disk's blocks.</param>
    /// <param name="store">Where the map is kept.</param>
    /// <exception cref="UblkException">There is no address space.</exception>
    public OverlayMap(long blocks, BlockTarget store)
    {
        _pages = (int)(BytesFor(blocks) / Page);
        _memory = new BufferMemory(_pages, Page);
        _words = (ulong*)_memory.AddressOf(0);
        _isChanged = new int[_pages];
        Store = store;
    }

    /// <summary>Where the map is kept.</summary>
    public BlockTarget Store { get; }

    /// <summary>Bytes of a map, in whole pages.</summary>
    public static long BytesFor(long blocks) => (blocks + BitsPerPage - 1) / BitsPerPage * Page;

    /// <summary>Whether a map can have this number of blocks.</summary>
    public static bool Fits(long blocks) => BytesFor(blocks) / Page <= int.MaxValue;

    /// <summary>Reads the map from a file.</summary>
    /// <exception cref="UblkException">It cannot be read.</exception>
    public void Load(BackingFile file, long position)
    {
        byte[] page = new byte[Page];
        for (int i = 0; i < _pages; i++)
        {
            fixed (byte* bytes = page)
            {
                if (Libc.PRead(file.Handle, bytes, Page, position + ((long)i * Page)) != Page)
                {
                    throw UblkException.FromErrno(Libc.LastErrno, "pread", $"{file.Path} cannot be read");
                }
            }

            // A page of zeroes that is not touched takes no memory.
            if (page.AsSpan().IndexOfAnyExcept((byte)0) >= 0)
            {
                page.CopyTo(new Span<byte>((byte*)_words + ((long)i * Page), Page));
            }
        }
    }

    /// <summary>Writes what has changed to a file, after the blocks themselves; for the end, when no request is left.</summary>
    /// <returns>Whether all of it is durable.</returns>
    public bool TrySave(BackingFile file, long position)
    {
        _flushing.Wait();
        using Flush flush = new(this);
        bool isSaved = file.Sync() == 0;
        while (isSaved && flush.TryTake(out long place, out IoBuffer page))
        {
            fixed (byte* bytes = page.Span)
            {
                isSaved = Libc.PWrite((int)file.Handle.DangerousGetHandle(), (nint)bytes, Page, position + place) == Page;
            }
        }

        return isSaved && file.Sync() == 0;
    }

    /// <summary>How many blocks from one on are all in the overlay, or all not.</summary>
    /// <param name="block">The first.</param>
    /// <param name="count">How many to look at.</param>
    /// <param name="isKept">Whether they are in the overlay.</param>
    public int RunLength(long block, long count, out bool isKept)
    {
        isKept = (Volatile.Read(ref _words[block / BitsPerWord]) >> (int)(block % BitsPerWord) & 1) != 0;
        long length = 0;
        while (length < count)
        {
            long position = block + length;
            int bit = (int)(position % BitsPerWord);
            ulong word = Volatile.Read(ref _words[position / BitsPerWord]) >> bit;
            int same = int.Min(BitOperations.TrailingZeroCount(isKept ? ~word : word), BitsPerWord - bit);
            length += same;
            if (bit + same < BitsPerWord)
            {
                break;
            }
        }

        return (int)long.Min(length, count);
    }

    /// <summary>Notes that blocks are in the overlay now.</summary>
    /// <param name="block">The first.</param>
    /// <param name="count">How many.</param>
    /// <returns>Whether one of them was not before.</returns>
    public bool Add(long block, long count)
    {
        bool isNews = false;
        long end = block + count;
        for (long position = block; position < end;)
        {
            int bit = (int)(position % BitsPerWord);
            int bits = (int)long.Min(BitsPerWord - bit, end - position);
            ulong mask = (bits == BitsPerWord ? ulong.MaxValue : (1UL << bits) - 1) << bit;
            ref ulong word = ref _words[position / BitsPerWord];
            if ((Volatile.Read(ref word) & mask) != mask)
            {
                Interlocked.Or(ref word, mask);
                Volatile.Write(ref _isChanged[position / BitsPerPage], 1);
                isNews = true;
            }

            position += bits;
        }

        return isNews;
    }

    /// <summary>Adds the blocks of a word.</summary>
    public void AddWord(long word, ulong bits)
    {
        if (bits != 0 && word < (long)_pages * Page / sizeof(ulong))
        {
            Interlocked.Or(ref _words[word], bits);
            Volatile.Write(ref _isChanged[word * BitsPerWord / BitsPerPage], 1);
        }
    }

    /// <summary>The words that have some blocks, in the map itself.</summary>
    /// <param name="block">The first.</param>
    /// <param name="count">How many.</param>
    /// <param name="first">The number of the first word.</param>
    public ReadOnlySpan<ulong> WordsOf(long block, long count, out long first)
    {
        first = block / BitsPerWord;
        return new ReadOnlySpan<ulong>(_words + first, (int)(((block + count - 1) / BitsPerWord) - first + 1));
    }

    /// <summary>Waits until no other flush is in progress: it may be writing what this one has to.</summary>
    public Task AwaitTurnAsync() => _flushing.WaitAsync();

    /// <summary>Begins to write what has changed, when it is one's turn.</summary>
    public Flush BeginFlush() => new(this);

    /// <inheritdoc/>
    public void Dispose()
    {
        _memory.Dispose();
        _flushing.Dispose();
    }

    /// <summary>
    /// The pages that had changed when the flush began, as they were then: their blocks are written by then, if not durable.
    /// </summary>
    internal sealed class Flush : IDisposable
    {
        private readonly OverlayMap _map;
        private readonly List<int> _pages = [];
        private readonly byte* _copies;
        private bool _hasSucceeded;
        private int _next;

        internal Flush(OverlayMap map)
        {
            _map = map;
            for (int i = 0; i < map._pages; i++)
            {
                if (Volatile.Read(ref map._isChanged[i]) != 0 && Interlocked.Exchange(ref map._isChanged[i], 0) != 0)
                {
                    _pages.Add(i);
                }
            }

            _copies = (byte*)NativeMemory.AlignedAlloc((nuint)int.Max(_pages.Count, 1) * Page, Page);
            for (int i = 0; i < _pages.Count; i++)
            {
                NativeMemory.Copy((byte*)map._words + ((long)_pages[i] * Page), _copies + ((long)i * Page), Page);
            }
        }

        /// <summary>Whether there was something to write.</summary>
        public bool HasWritten => _pages.Count > 0;

        /// <summary>The next page to write.</summary>
        /// <param name="position">Where it goes in the map.</param>
        /// <param name="page">The page.</param>
        public bool TryTake(out long position, out IoBuffer page)
        {
            bool isThere = _next < _pages.Count;
            position = isThere ? (long)_pages[_next] * Page : 0;
            page = isThere ? new IoBuffer((nint)(_copies + ((long)_next * Page)), Page) : default;
            _next++;
            return isThere;
        }

        /// <summary>Notes that the pages are durable.</summary>
        public void Succeed() => _hasSucceeded = true;

        /// <summary>Lets the next flush begin, which writes the pages again if this one failed.</summary>
        public void Dispose()
        {
            if (!_hasSucceeded)
            {
                _pages.ForEach(page => Volatile.Write(ref _map._isChanged[page], 1));
            }

            NativeMemory.AlignedFree(_copies);
            _map._flushing.Release();
        }
    }
}

using System.Runtime.InteropServices;
using Ublk.Qcow2.Format;

namespace Ublk.Qcow2.State;

/// <summary>The bits of an enabled persistent bitmap: which ranges of the disk have changed. Used by all queues without a lock.</summary>
internal sealed class DirtyBitmap
{
    private readonly ulong[] _words;
    private readonly long _last;
    private readonly int _granularityBits;

    /// <summary>Makes one without a change.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="diskSize">Size of the disk in bytes.</param>
    /// <param name="granularityBits">Binary logarithm of the bytes of the disk that one bit stands for.</param>
    public DirtyBitmap(string name, long diskSize, int granularityBits)
    {
        Name = name;
        _granularityBits = granularityBits;
        _last = PersistentBitmap.BitsFor(diskSize, granularityBits) - 1;
        _words = new ulong[(_last >> 6) + 1];
    }

    /// <summary>Its name.</summary>
    public string Name { get; }

    /// <summary>Bytes of the disk that one bit stands for.</summary>
    public long Granularity => 1L << _granularityBits;

    /// <summary>The bits as they are stored: the first one is the lowest of the first byte.</summary>
    public Span<byte> Bytes => MemoryMarshal.AsBytes(_words.AsSpan());

    /// <summary>Enters a change; before it begins. What is beyond the disk's end is left out.</summary>
    /// <param name="offset">The first byte.</param>
    /// <param name="length">Bytes, at least 1.</param>
    public void Mark(long offset, long length)
    {
        long first = offset >> _granularityBits;
        long last = long.Min((offset + length - 1) >> _granularityBits, _last);
        for (long word = first >> 6; word <= last >> 6; word++)
        {
            ulong mask = word == first >> 6 ? ulong.MaxValue << (int)(first & 63) : ulong.MaxValue;
            mask &= word == last >> 6 ? ulong.MaxValue >> (63 - (int)(last & 63)) : ulong.MaxValue;

            // Most changes are to ranges that have changed before: these write nothing.
            ref ulong bits = ref _words[word];
            if ((Volatile.Read(ref bits) & mask) != mask)
            {
                Interlocked.Or(ref bits, mask);
            }
        }
    }

    /// <summary>Takes all changes out, so that it has those from now on; while no change is under way.</summary>
    public DirtySet Take()
    {
        DirtySet taken = new(this, [.. _words]);
        Array.Clear(_words);
        return taken;
    }

    /// <summary>Enters changes that were taken out.</summary>
    /// <param name="words">The bits.</param>
    internal void Return(ReadOnlySpan<ulong> words)
    {
        for (int word = 0; word < words.Length; word++)
        {
            Interlocked.Or(ref _words[word], words[word]);
        }
    }

    /// <summary>Clears the bits beyond the end of the disk, which a stored bitmap may have set.</summary>
    internal void Trim()
    {
        if (_words.Length > 0)
        {
            _words[^1] &= ulong.MaxValue >> (63 - (int)(_last & 63));
        }
    }
}

/// <summary>The changes that a bitmap had at one instant.</summary>
/// <param name="source">The bitmap.</param>
/// <param name="words">Its bits.</param>
internal sealed class DirtySet(DirtyBitmap source, ulong[] words)
{
    /// <summary>The ranges that have changed: the first byte, and the length in bytes. The last may end beyond the disk.</summary>
    public IEnumerable<(long Offset, long Length)> Ranges
    {
        get
        {
            long end = words.Length * 64L;
            for (long bit = FindNext(0, isSet: true); bit < end;)
            {
                long stop = FindNext(bit, isSet: false);
                yield return (bit * source.Granularity, (stop - bit) * source.Granularity);
                bit = FindNext(stop, isSet: true);
            }
        }
    }

    /// <summary>Gives the changes back to the bitmap, beside those that it has got since: where they were of no use.</summary>
    public void Return() => source.Return(words);

    // The first bit at or after another that is set, or clear; the end where there is none.
    private long FindNext(long bit, bool isSet)
    {
        ulong flip = isSet ? 0 : ulong.MaxValue;
        while (bit < words.Length * 64L)
        {
            ulong rest = (words[bit >> 6] ^ flip) >> (int)(bit & 63);
            if (rest != 0)
            {
                return bit + System.Numerics.BitOperations.TrailingZeroCount(rest);
            }

            bit = (bit | 63) + 1;
        }

        return bit;
    }
}

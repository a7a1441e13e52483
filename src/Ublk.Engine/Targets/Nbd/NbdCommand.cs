using Ublk.Interop;
using Ublk.Io;
using Ublk.Rings;

namespace Ublk.Targets.Nbd;

/// <summary>One request to the server, awaitable once; used again for the next when its result was taken.</summary>
/// <remarks>Everything happens on the queue's thread.</remarks>
internal sealed class NbdCommand(NbdCommandPool pool, int index) : ReusableTask<int>
{
    private readonly byte[] _header = GC.AllocateArray<byte>(NbdHeaders.MaxRequestLength, pinned: true);
    private int _headerLength;
    private uint _generation;

    /// <summary>What names the request to the server: the place in the pool, and a number that is new for each use of it.</summary>
    public ulong Cookie => ((ulong)_generation << 32) | (uint)index;

    /// <summary>What it is for.</summary>
    public NbdCommandType Type { get; private set; }

    /// <summary>How it is to be done.</summary>
    public NbdCommandFlags Flags { get; private set; }

    /// <summary>The first byte in the export.</summary>
    public long Offset { get; private set; }

    /// <summary>Bytes in the range.</summary>
    public long RangeLength { get; private set; }

    /// <summary>The data of a read or a write.</summary>
    public IoBuffer Buffer { get; private set; }

    /// <summary>Whether it is a read whose data is not in memory.</summary>
    public bool ReadsOutsideMemory => Type == NbdCommandType.Read && !Buffer.IsMemory;

    /// <summary>Where a read's data has come.</summary>
    public CoveredRanges Covered { get; } = new();

    /// <summary>The first error that the server named, positive; 0 for none.</summary>
    public int Errno { get; set; }

    /// <summary>Bytes that are not sent yet, of the header and the data.</summary>
    public int Unsent { get; set; }

    /// <summary>Whether any of it was sent: a server may have executed it, or may still.</summary>
    public bool IsSent => Unsent < Length;

    /// <summary>Of a flush: how many writes it covers.</summary>
    public long Written { get; set; }

    /// <summary>When it was sent, in the milliseconds of <see cref="Environment.TickCount64"/>.</summary>
    public long SendTime { get; set; }

    /// <summary>Whether the reply has come.</summary>
    public bool IsReplied { get; set; }

    /// <summary>Whether it is in flight.</summary>
    public bool IsActive { get; private set; }

    /// <summary>The next to be sent; the next free one while this one is free.</summary>
    public NbdCommand? Next { get; set; }

    /// <summary>Makes it the next request.</summary>
    public void Load(
        NbdHeaderForm form, NbdCommandType type, NbdCommandFlags flags, long offset, long length, IoBuffer buffer)
    {
        Type = type;
        Flags = flags;
        Offset = offset;
        RangeLength = length;
        Buffer = buffer;
        IsActive = true;
        Rewind(form);
    }

    /// <summary>Begins it anew, as another request to the server.</summary>
    public void Rewind(NbdHeaderForm form)
    {
        Covered.Clear();
        Errno = 0;
        IsReplied = false;
        Next = null;
        _generation++;
        _headerLength = NbdHeaders.Write(_header, form, Flags, Type, Cookie, Offset, RangeLength);
        Unsent = Length;
    }

    /// <summary>The data that is not sent yet and is not in memory, which no vector describes.</summary>
    public IoBuffer UnsentOutsideMemory => Type == NbdCommandType.Write && !Buffer.IsMemory
        ? Buffer.Slice(int.Max(0, Length - Unsent - _headerLength))
        : default;

    /// <summary>Describes what is not sent yet and is in memory.</summary>
    /// <param name="vectors">Room for two.</param>
    /// <returns>How many are used.</returns>
    public int Describe(Span<Libc.IoVector> vectors) => NbdMessage.Describe(
        _header, _headerLength, Type == NbdCommandType.Write && Buffer.IsMemory ? Buffer : default, Length - Unsent, vectors);

    /// <summary>Copies what is not sent yet, as far as there is room.</summary>
    /// <returns>How many bytes.</returns>
    public int CopyUnsentTo(Span<byte> room)
    {
        Span<Libc.IoVector> vectors = stackalloc Libc.IoVector[2];
        return NbdMessage.Copy(vectors[..Describe(vectors)], room);
    }

    /// <summary>Answers the request: with the length of the data, 0 where there is none, or a negative errno.</summary>
    public void Answer(int result)
    {
        IsActive = false;
        Buffer = default;
        Complete(result);
    }

    /// <inheritdoc/>
    protected override void Recycle() => pool.Return(this);

    private int Length => _headerLength + (Type == NbdCommandType.Write ? Buffer.Length : 0);
}

using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Threading.Tasks.Sources;
using Ublk.Interop;
using Ublk.Io;

namespace Ublk.Targets.Nbd;

/// <summary>One request to the server, awaitable once; used again for the next when its result was taken.</summary>
/// <remarks>Everything happens on the queue's thread.</remarks>
internal sealed unsafe class NbdCommand(NbdCommandPool pool, int index) : IValueTaskSource<int>
{
    private readonly byte[] _header = GC.AllocateArray<byte>(sizeof(NbdRequestHeader), pinned: true);
    private Action<object?>? _continuation;
    private object? _state;
    private uint _generation;
    private short _version;
    private bool _completed;
    private int _result;

    /// <summary>What names the request to the server: the place in the pool, and a number that is new for each use of it.</summary>
    public ulong Cookie => ((ulong)_generation << 32) | (uint)index;

    /// <summary>What it is for.</summary>
    public NbdCommandType Type { get; private set; }

    /// <summary>The first byte in the export.</summary>
    public long Offset { get; private set; }

    /// <summary>The data of a read or a write.</summary>
    public IoBuffer Buffer { get; private set; }

    /// <summary>Where a read's data has come.</summary>
    public CoveredRanges Covered { get; } = new();

    /// <summary>The first error that the server named, positive; 0 for none.</summary>
    public int Errno { get; set; }

    /// <summary>Bytes that are not sent yet, of the header and the data.</summary>
    public int Unsent { get; set; }

    /// <summary>Whether the reply has come.</summary>
    public bool IsReplied { get; set; }

    /// <summary>Whether it is in flight.</summary>
    public bool IsActive { get; private set; }

    /// <summary>The next to be sent; the next free one while this one is free.</summary>
    public NbdCommand? Next { get; set; }

    /// <summary>The result to await: the length of the data, 0 where there is none, or a negative errno.</summary>
    public ValueTask<int> Task => new(this, _version);

    /// <summary>Makes it the next request.</summary>
    public void Load(NbdCommandType type, NbdCommandFlags flags, long offset, uint length, IoBuffer buffer)
    {
        Type = type;
        Offset = offset;
        Buffer = buffer;
        Covered.Clear();
        Errno = 0;
        IsReplied = false;
        IsActive = true;
        Unsent = Length;
        _generation++;
        MemoryMarshal.Write(_header, new NbdRequestHeader(flags, type, Cookie, offset, length));
    }

    /// <summary>Describes what is not sent yet.</summary>
    /// <param name="vectors">Room for two.</param>
    /// <returns>How many are used.</returns>
    public int Describe(Span<Libc.IoVector> vectors)
    {
        int sent = Length - Unsent;
        int used = 0;
        if (sent < _header.Length)
        {
            nint header = (nint)Unsafe.AsPointer(ref MemoryMarshal.GetArrayDataReference(_header));
            vectors[used++] = new Libc.IoVector { Base = header + sent, Length = (nuint)(_header.Length - sent) };
        }

        int sentData = int.Max(0, sent - _header.Length);
        if (Type == NbdCommandType.Write)
        {
            vectors[used++] = new Libc.IoVector { Base = Buffer.Address + sentData, Length = (nuint)(Buffer.Length - sentData) };
        }

        return used;
    }

    /// <summary>Resumes the method that awaits the request.</summary>
    public void Complete(int result)
    {
        _result = result;
        _completed = true;
        IsActive = false;
        Buffer = default;
        if (_continuation is { } continuation)
        {
            object? state = _state;
            _continuation = null;
            _state = null;
            continuation(state);
        }
    }

    private int Length => _header.Length + (Type == NbdCommandType.Write ? Buffer.Length : 0);

    ValueTaskSourceStatus IValueTaskSource<int>.GetStatus(short token)
    {
        Check(token);
        return _completed ? ValueTaskSourceStatus.Succeeded : ValueTaskSourceStatus.Pending;
    }

    void IValueTaskSource<int>.OnCompleted(
        Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags)
    {
        Check(token);
        if (_completed)
        {
            continuation(state);
            return;
        }

        _continuation = continuation;
        _state = state;
    }

    int IValueTaskSource<int>.GetResult(short token)
    {
        Check(token);
        int result = _result;
        _completed = false;
        _version++;
        pool.Return(this);
        return result;
    }

    private void Check(short token)
    {
        if (token != _version)
        {
            throw new InvalidOperationException("A request to an NBD server was awaited twice.");
        }
    }
}

using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Ublk.Interop;

namespace Ublk.Counters;

/// <summary>What is at the beginning of a device's counters.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct CounterHeader
{
    /// <summary>Bytes before the first block: a page.</summary>
    public const int Room = 4096;

    /// <summary>"UBLKCNT" and the layout's version.</summary>
    public const ulong Layout = 0x01_54_4E_43_4B_4C_42_55;

    /// <summary><see cref="Layout"/>.</summary>
    public ulong Magic;

    /// <summary>The device's.</summary>
    public ulong Cookie;

    /// <summary>The process that counts; another one starts from zero.</summary>
    public long ProcessId;

    /// <summary>Blocks that follow.</summary>
    public long Threads;

    /// <summary>Slots of the target's counters that are in use, <see cref="TargetCounterSlot"/>.</summary>
    public long TargetCounters;

    /// <summary>The header of the counters that this process keeps.</summary>
    public static CounterHeader Of(ulong cookie, int threads) =>
        new() { Magic = Layout, Cookie = cookie, ProcessId = Environment.ProcessId, Threads = threads };

    /// <summary>The cookie of the device; 0 if the memory has no counters.</summary>
    public static ulong CookieOf(ReadOnlySpan<byte> counters) =>
        MemoryMarshal.TryRead(counters, out CounterHeader header) && header.Magic == Layout ? header.Cookie : 0;
}

/// <summary>The memory in which a device's threads count, each in a block of its own, and its target.</summary>
internal sealed unsafe class CounterMemory : IDisposable
{
    private readonly nuint _length;
    private IReadOnlyList<TargetCounter> _target = [];
    private nint _address;

    /// <summary>Maps it.</summary>
    /// <param name="file">
    /// A header and zeroes, of which every block is allocated; without one, other processes cannot read the counters.
    /// </param>
    /// <param name="threads">How many count.</param>
    /// <param name="target">What the target counts, as far as there is room; it may go on to when this is disposed.</param>
    /// <exception cref="UblkException">There is no memory.</exception>
    public CounterMemory(SafeFileHandle? file, int threads, IReadOnlyList<TargetCounter> target)
    {
        _length = (nuint)LengthFor(threads);
        int flags = file is null ? Libc.MAP_PRIVATE | Libc.MAP_ANONYMOUS : Libc.MAP_SHARED;
        _address = Libc.MMap(_length, Libc.PROT_READ | Libc.PROT_WRITE, flags, file, 0);
        if (_address == 0)
        {
            throw UblkException.FromErrno(Libc.LastErrno, "mmap", "Cannot map the counters");
        }

        SetTarget(target);
    }

    /// <summary>The bytes of a device's counters.</summary>
    public static long LengthFor(int threads) => CounterHeader.Room + ((long)threads * CounterBlock.Size);

    /// <summary>What a thread counts with.</summary>
    /// <param name="thread">Its number among the device's.</param>
    /// <param name="slots">How many requests it has at once.</param>
    public QueueCounters For(int thread, int slots) =>
        new((CounterBlock*)(_address + CounterHeader.Room) + thread, slots);

    /// <summary>Has another target count here. No thread counts meanwhile.</summary>
    /// <param name="target">What it counts, as far as there is room.</param>
    public void SetTarget(IReadOnlyList<TargetCounter> target)
    {
        foreach (TargetCounter counter in _target)
        {
            counter.ReturnHome();
        }

        _target = [.. target.Take(TargetCounterSlot.MaxCount)];
        for (int index = 0; index < _target.Count; index++)
        {
            TargetCounterSlot* slot = TargetCounterSlot.In(_address) + index;
            slot->SetName(_target[index].Name);
            _target[index].MoveTo(&slot->Value);
        }

        ((CounterHeader*)_address)->TargetCounters = _target.Count;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_address != 0)
        {
            SetTarget([]);
            _ = Libc.MUnmap(_address, _length);
            _address = 0;
        }
    }
}

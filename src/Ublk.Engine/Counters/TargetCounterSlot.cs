using System.Runtime.InteropServices;
using System.Text;

namespace Ublk.Counters;

/// <summary>A counter of the target in the first page of a device's counters, behind the header.</summary>
[StructLayout(LayoutKind.Sequential, Size = Size)]
internal unsafe struct TargetCounterSlot
{
    /// <summary>Bytes of a slot.</summary>
    public const int Size = 64;

    /// <summary>Slots that the page has room for.</summary>
    public const int MaxCount = (CounterHeader.Room - FirstOffset) / Size;

    // Room for the header to grow.
    private const int FirstOffset = 64;

    /// <summary>What was counted.</summary>
    public long Value;

    private fixed byte _name[Size - sizeof(long)];

    /// <summary>The slots of a page.</summary>
    public static TargetCounterSlot* In(nint page) => (TargetCounterSlot*)(page + FirstOffset);

    /// <summary>What a target has counted up to now, in its order.</summary>
    /// <param name="counters">A device's counters; empty where they are not even a page.</param>
    public static Dictionary<string, long> Read(ReadOnlySpan<byte> counters)
    {
        Dictionary<string, long> values = [];
        if (counters.Length < CounterHeader.Room)
        {
            return values;
        }

        int count = (int)long.Clamp(MemoryMarshal.Read<CounterHeader>(counters).TargetCounters, 0, MaxCount);
        foreach (ref readonly TargetCounterSlot slot in
            MemoryMarshal.Cast<byte, TargetCounterSlot>(counters.Slice(FirstOffset, count * Size)))
        {
            // The file may belong to another user and hold anything.
            string name = slot.Name;
            if (name.Length > 0 && name.All(char.IsAsciiLetterOrDigit))
            {
                values[name] = slot.Value;
            }
        }

        return values;
    }

    /// <summary>Names what is counted here.</summary>
    public void SetName(string name)
    {
        fixed (byte* bytes = _name)
        {
            Span<byte> room = new(bytes, TargetCounter.MaxNameLength);
            room.Clear();
            Encoding.ASCII.GetBytes(name, room);
        }
    }

    private readonly string Name
    {
        get
        {
            fixed (byte* bytes = _name)
            {
                ReadOnlySpan<byte> name = new(bytes, TargetCounter.MaxNameLength);
                return Encoding.ASCII.GetString(name[..(name.IndexOf((byte)0) is >= 0 and var length ? length : name.Length)]);
            }
        }
    }
}

namespace Ublk.Qcow2.Format;

/// <summary>One internal snapshot, as the snapshot table has it.</summary>
internal sealed record Snapshot
{
    /// <summary>Where its L1 table is.</summary>
    public required long L1Offset { get; init; }

    /// <summary>Entries in its L1 table.</summary>
    public required int L1Size { get; init; }

    /// <summary>Its id, unique in the image; by custom a number.</summary>
    public required string Id { get; init; }

    /// <summary>Its name, which need not be unique.</summary>
    public required string Name { get; init; }

    /// <summary>Seconds from 1970 to when it was taken.</summary>
    public uint Seconds { get; init; }

    /// <summary>Nanoseconds after that second.</summary>
    public uint Nanoseconds { get; init; }

    /// <summary>For how long the guest had run, in nanoseconds.</summary>
    public ulong GuestTime { get; init; }

    /// <summary>Bytes of saved state of a virtual machine; 0 for none.</summary>
    public ulong VmStateSize { get; init; }

    /// <summary>Size of the disk when it was taken, in bytes; null in old images: then it is the image's.</summary>
    public long? DiskSize { get; init; }

    /// <summary>Count of executed instructions for replay; null where the entry does not have it.</summary>
    public ulong? InstructionCount { get; init; }

    /// <summary>Extra data behind what is known here.</summary>
    public byte[] LaterData { get; init; } = [];

    /// <summary>When it was taken.</summary>
    public DateTimeOffset Created => DateTimeOffset.FromUnixTimeSeconds(Seconds).AddTicks(Nanoseconds / 100);
}

using System.Runtime.InteropServices;

namespace Ublk.Interop;

/// <summary>Constants of linux/io_uring.h.</summary>
internal static class IoUring
{
    // Setup flags (IORING_SETUP_*).
    public const uint SetupCqSize = 1u << 3;
    public const uint SetupSubmitAll = 1u << 7;
    public const uint SetupCoopTaskRun = 1u << 8;
    public const uint SetupSqe128 = 1u << 10;
    public const uint SetupSingleIssuer = 1u << 12;
    public const uint SetupDeferTaskRun = 1u << 13;
    public const uint SetupNoSqArray = 1u << 16;

    // Features (IORING_FEAT_*).
    public const uint FeatureSingleMmap = 1u << 0;

    /// <summary>Flag in the submission ring: completions wait in the kernel for room in the ring (IORING_SQ_CQ_OVERFLOW).</summary>
    public const uint SqCompletionOverflow = 1u << 1;

    // Offsets of mmap (IORING_OFF_*).
    public const long OffsetSqRing = 0;
    public const long OffsetSqes = 0x10000000;

    // Flags of enter (IORING_ENTER_*).
    public const uint EnterGetEvents = 1u << 0;
    public const uint EnterExtArg = 1u << 3;
    public const uint EnterRegisteredRing = 1u << 4;

    // Registration (IORING_REGISTER_*).
    public const uint RegisterFiles = 2;
    public const uint RegisterFilesUpdate = 6;
    public const uint RegisterBuffers2 = 15;
    public const uint RegisterRingFds = 20;

    // Operations (IORING_OP_*).
    public const byte OpFsync = 3;
    public const byte OpReadFixed = 4;
    public const byte OpWriteFixed = 5;
    public const byte OpSendMsg = 9;
    public const byte OpRecvMsg = 10;
    public const byte OpTimeout = 11;
    public const byte OpAsyncCancel = 14;
    public const byte OpFallocate = 17;
    public const byte OpRead = 22;
    public const byte OpWrite = 23;
    public const byte OpSend = 26;
    public const byte OpReceive = 27;
    public const byte OpUringCmd = 46;

    /// <summary>The file descriptor is an index into the registered files (IOSQE_FIXED_FILE).</summary>
    public const byte SqeFixedFile = 1 << 0;

    /// <summary>The next entry begins when this one has succeeded, and is cancelled otherwise (IOSQE_IO_LINK).</summary>
    public const byte SqeLink = 1 << 2;

    /// <summary>No completion where the operation succeeds (IOSQE_CQE_SKIP_SUCCESS).</summary>
    public const byte SqeSkipSuccess = 1 << 6;

    /// <summary>Wait for data before the first attempt to receive (IORING_RECVSEND_POLL_FIRST, kernel 5.19).</summary>
    public const ushort PollFirst = 1 << 0;

    /// <summary>A send or receive of data in a registered buffer (IORING_RECVSEND_FIXED_BUF), which recent kernels take.</summary>
    public const ushort SocketFixedBuffer = 1 << 2;

    /// <summary>A table of empty slots (IORING_RSRC_REGISTER_SPARSE).</summary>
    public const uint RegisterSparse = 1;

    /// <summary>Sync data only (IORING_FSYNC_DATASYNC).</summary>
    public const uint FsyncDataSync = 1;
}

/// <summary>struct io_uring_params, 120 bytes.</summary>
[StructLayout(LayoutKind.Explicit, Size = 120)]
internal struct IoUringParams
{
    [FieldOffset(0)] public uint SqEntries;
    [FieldOffset(4)] public uint CqEntries;
    [FieldOffset(8)] public uint Flags;
    [FieldOffset(20)] public uint Features;
    [FieldOffset(40)] public SqRingOffsets Sq;
    [FieldOffset(80)] public CqRingOffsets Cq;
}

/// <summary>struct io_sqring_offsets, 40 bytes.</summary>
[StructLayout(LayoutKind.Explicit, Size = 40)]
internal struct SqRingOffsets
{
    [FieldOffset(0)] public uint Head;
    [FieldOffset(4)] public uint Tail;
    [FieldOffset(8)] public uint RingMask;
    [FieldOffset(12)] public uint RingEntries;
    [FieldOffset(16)] public uint Flags;
    [FieldOffset(20)] public uint Dropped;
    [FieldOffset(24)] public uint Array;
}

/// <summary>struct io_cqring_offsets, 40 bytes.</summary>
[StructLayout(LayoutKind.Explicit, Size = 40)]
internal struct CqRingOffsets
{
    [FieldOffset(0)] public uint Head;
    [FieldOffset(4)] public uint Tail;
    [FieldOffset(8)] public uint RingMask;
    [FieldOffset(12)] public uint RingEntries;
    [FieldOffset(16)] public uint Overflow;
    [FieldOffset(20)] public uint Cqes;
}

/// <summary>struct io_uring_sqe, 64 bytes; a command ring's entries are 128, the second half all command.</summary>
[StructLayout(LayoutKind.Explicit, Size = 64)]
internal struct IoUringSqe
{
    [FieldOffset(0)] public byte Opcode;
    [FieldOffset(1)] public byte Flags;
    [FieldOffset(2)] public ushort IoPriority;
    [FieldOffset(4)] public int Fd;

    /// <summary>Offset in the file.</summary>
    [FieldOffset(8)] public ulong Offset;

    /// <summary>The command of IORING_OP_URING_CMD; overlays the offset.</summary>
    [FieldOffset(8)] public uint CommandOp;

    [FieldOffset(16)] public ulong Address;
    [FieldOffset(24)] public uint Length;

    /// <summary>rw_flags, fsync_flags and their like, by operation.</summary>
    [FieldOffset(28)] public uint OpFlags;

    [FieldOffset(32)] public ulong UserData;
    [FieldOffset(40)] public ushort BufferIndex;

    /// <summary>First byte of the command's own payload; 16 bytes here, 80 in a 128-byte entry.</summary>
    [FieldOffset(48)] public byte Command;
}

/// <summary>struct io_uring_cqe, 16 bytes.</summary>
[StructLayout(LayoutKind.Explicit, Size = 16)]
internal struct IoUringCqe
{
    [FieldOffset(0)] public ulong UserData;
    [FieldOffset(8)] public int Result;
    [FieldOffset(12)] public uint Flags;
}

/// <summary>struct io_uring_rsrc_update, 16 bytes, as IORING_REGISTER_RING_FDS takes it.</summary>
[StructLayout(LayoutKind.Explicit, Size = 16)]
internal struct IoUringResourceUpdate
{
    [FieldOffset(0)] public uint Offset;
    [FieldOffset(8)] public ulong Data;
}

/// <summary>struct io_uring_rsrc_register, 32 bytes, as IORING_REGISTER_BUFFERS2 takes it.</summary>
[StructLayout(LayoutKind.Explicit, Size = 32)]
internal struct IoUringResourceTable
{
    [FieldOffset(0)] public uint Count;
    [FieldOffset(4)] public uint Flags;
}

/// <summary>struct io_uring_getevents_arg, 24 bytes.</summary>
[StructLayout(LayoutKind.Explicit, Size = 24)]
internal struct IoUringGetEventsArgument
{
    [FieldOffset(0)] public ulong SignalMask;
    [FieldOffset(8)] public uint SignalMaskSize;
    [FieldOffset(16)] public ulong Timeout;
}

/// <summary>struct __kernel_timespec, 16 bytes.</summary>
[StructLayout(LayoutKind.Explicit, Size = 16)]
internal struct KernelTimespec
{
    [FieldOffset(0)] public long Seconds;
    [FieldOffset(8)] public long Nanoseconds;

    public static KernelTimespec From(TimeSpan time) => new()
    {
        Seconds = time.Ticks / TimeSpan.TicksPerSecond,
        Nanoseconds = time.Ticks % TimeSpan.TicksPerSecond * TimeSpan.NanosecondsPerTick,
    };
}

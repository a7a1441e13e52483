using System.Runtime.InteropServices;

namespace Ublk.Interop;

/// <summary>Constants of linux/ublk_cmd.h.</summary>
internal static class UblkAbi
{
    // Control commands, ioctl-encoded (UBLK_U_CMD_*); the low byte is the number older kernels want alone.
    public const uint CmdGetQueueAffinity = 0x80207501;
    public const uint CmdGetDevInfo = 0x80207502;
    public const uint CmdAddDev = 0xC0207504;
    public const uint CmdDelDev = 0xC0207505;
    public const uint CmdStartDev = 0xC0207506;
    public const uint CmdStopDev = 0xC0207507;
    public const uint CmdSetParams = 0xC0207508;
    public const uint CmdGetParams = 0x80207509;
    public const uint CmdStartUserRecovery = 0xC0207510;
    public const uint CmdEndUserRecovery = 0xC0207511;
    public const uint CmdGetFeatures = 0x80207513;
    public const uint CmdDelDevAsync = 0x80207514;
    public const uint CmdUpdateSize = 0xC0207515;
    public const uint CmdQuiesceDev = 0xC0207516;
    public const uint CmdTryStopDev = 0xC0207517;

    // I/O commands, ioctl-encoded (UBLK_U_IO_*).
    public const uint IoFetch = 0xC0107520;
    public const uint IoCommitAndFetch = 0xC0107521;
    public const uint IoRegisterBuffer = 0xC0107523;
    public const uint IoUnregisterBuffer = 0xC0107524;

    /// <summary>The number alone of an encoded command.</summary>
    public const uint CommandNumberMask = 0xFF;

    /// <summary>The device id that asks ADD_DEV to choose one.</summary>
    public const uint AnyDeviceId = 0xFFFFFFFF;

    /// <summary>The queue id of commands that concern none.</summary>
    public const ushort NoQueue = 0xFFFF;

    /// <summary>Descriptors a queue's slot of the mapping has room for (UBLK_MAX_QUEUE_DEPTH).</summary>
    public const int MaxQueueDepth = 4096;

    // Operations, the low byte of a descriptor's op_flags (UBLK_IO_OP_*).
    public const uint OpMask = 0xFF;

    // Flags of a descriptor's op_flags, at their place in the whole word (UBLK_IO_F_*).
    public const uint IoFlagFua = 1u << 13;
    public const uint IoFlagNoUnmap = 1u << 15;
    public const uint IoFlagNeedRegisteredBuffer = 1u << 17;

    /// <summary>A request whose buffer the driver cannot register comes all the same (UBLK_AUTO_BUF_REG_FALLBACK).</summary>
    public const ulong AutoBufferFallback = 1ul << 16;

    // Where in the device's node a request's data is read and written (UBLKSRV_IO_BUF_OFFSET, UBLK_TAG_OFF, UBLK_QID_OFF).
    public const long UserCopyStart = 0x80000000;
    public const int UserCopyTagShift = 25;
    public const int UserCopyQueueShift = 41;

    // Which members of the parameters are given (UBLK_PARAM_TYPE_*).
    public const uint ParamBasic = 1u << 0;
    public const uint ParamDiscard = 1u << 1;
    public const uint ParamDmaAlign = 1u << 4;

    // Attributes of the disk (UBLK_ATTR_*).
    public const uint AttrReadOnly = 1u << 0;
    public const uint AttrRotational = 1u << 1;
    public const uint AttrVolatileCache = 1u << 2;
    public const uint AttrFua = 1u << 3;

    /// <summary>Log2 of the sector the driver counts in.</summary>
    public const int SectorShift = 9;
}

/// <summary>struct ublksrv_ctrl_cmd, 32 bytes: the payload of every control command.</summary>
[StructLayout(LayoutKind.Explicit, Size = 32)]
internal struct UblkControlCommand
{
    [FieldOffset(0)] public uint DeviceId;
    [FieldOffset(4)] public ushort QueueId;
    [FieldOffset(6)] public ushort Length;
    [FieldOffset(8)] public ulong Address;
    [FieldOffset(16)] public ulong Data;
    [FieldOffset(24)] public ushort DevicePathLength;
}

/// <summary>struct ublksrv_ctrl_dev_info, 64 bytes.</summary>
[StructLayout(LayoutKind.Explicit, Size = 64)]
internal struct UblkDeviceInfo
{
    [FieldOffset(0)] public ushort QueueCount;
    [FieldOffset(2)] public ushort QueueDepth;
    [FieldOffset(4)] public ushort State;
    [FieldOffset(6)] public ushort DescriptorSize;
    [FieldOffset(8)] public uint MaxIoBufferBytes;
    [FieldOffset(12)] public uint DeviceId;
    [FieldOffset(16)] public int ServerPid;
    [FieldOffset(24)] public ulong Flags;

    /// <summary>Kept by the driver for the server (ublksrv_flags).</summary>
    [FieldOffset(32)] public ulong ServerCookie;

    [FieldOffset(40)] public uint OwnerUid;
    [FieldOffset(44)] public uint OwnerGid;
}

/// <summary>struct ublksrv_io_desc, 24 bytes: one request of the kernel's.</summary>
[StructLayout(LayoutKind.Explicit, Size = 24)]
internal struct UblkIoDescriptor
{
    [FieldOffset(0)] public uint OpFlags;
    [FieldOffset(4)] public uint SectorCount;
    [FieldOffset(8)] public ulong StartSector;
    [FieldOffset(16)] public ulong Address;
}

/// <summary>struct ublksrv_io_cmd, 16 bytes: the payload of every I/O command.</summary>
[StructLayout(LayoutKind.Explicit, Size = 16)]
internal struct UblkIoCommand
{
    [FieldOffset(0)] public ushort QueueId;
    [FieldOffset(2)] public ushort Tag;
    [FieldOffset(4)] public int Result;
    [FieldOffset(8)] public ulong Address;
}

/// <summary>struct ublk_params as far as this engine fills it, 120 of its bytes.</summary>
[StructLayout(LayoutKind.Explicit, Size = 120)]
internal struct UblkParameters
{
    [FieldOffset(0)] public uint Length;
    [FieldOffset(4)] public uint Types;

    // struct ublk_param_basic, at 8. The optimal size comes before the minimal one.
    [FieldOffset(8)] public uint Attributes;
    [FieldOffset(12)] public byte LogicalBlockShift;
    [FieldOffset(13)] public byte PhysicalBlockShift;
    [FieldOffset(14)] public byte IoOptimalShift;
    [FieldOffset(15)] public byte IoMinimalShift;
    [FieldOffset(16)] public uint MaxSectors;
    [FieldOffset(20)] public uint ChunkSectors;
    [FieldOffset(24)] public ulong DeviceSectors;
    [FieldOffset(32)] public ulong VirtualBoundaryMask;

    // struct ublk_param_discard, at 40.
    [FieldOffset(40)] public uint DiscardAlignment;
    [FieldOffset(44)] public uint DiscardGranularity;
    [FieldOffset(48)] public uint MaxDiscardSectors;
    [FieldOffset(52)] public uint MaxWriteZeroesSectors;
    [FieldOffset(56)] public ushort MaxDiscardSegments;

    // struct ublk_param_devt, at 60; the driver fills it.
    [FieldOffset(60)] public uint CharMajor;
    [FieldOffset(64)] public uint CharMinor;
    [FieldOffset(68)] public uint DiskMajor;
    [FieldOffset(72)] public uint DiskMinor;

    /// <summary>struct ublk_param_dma_align, at 108: a mask (from 6.15).</summary>
    [FieldOffset(108)] public uint DmaAlignmentMask;
}

namespace Ublk.Control;

/// <summary>Features of the driver and of a device (ublk_cmd.h: UBLK_F_*).</summary>
[Flags]
public enum UblkFeatures : ulong
{
    /// <summary>No feature.</summary>
    None = 0,

    /// <summary>Request pages can be registered as io_uring buffers.</summary>
    SupportZeroCopy = 1UL << 0,

    /// <summary>Completion in task work; always on.</summary>
    UringCmdCompInTask = 1UL << 1,

    /// <summary>The server is asked for a buffer for each write.</summary>
    NeedGetData = 1UL << 2,

    /// <summary>The device survives the death of its server.</summary>
    UserRecovery = 1UL << 3,

    /// <summary>Requests the dead server held are given to the new one.</summary>
    UserRecoveryReissue = 1UL << 4,

    /// <summary>The device belongs to an ordinary user.</summary>
    UnprivilegedDev = 1UL << 5,

    /// <summary>Commands are ioctl-encoded.</summary>
    CmdIoctlEncode = 1UL << 6,

    /// <summary>The server copies data by reading and writing the character device.</summary>
    UserCopy = 1UL << 7,

    /// <summary>A zoned disk.</summary>
    Zoned = 1UL << 8,

    /// <summary>Without a server requests fail at once.</summary>
    UserRecoveryFailIo = 1UL << 9,

    /// <summary>The disk's size can change while it is live.</summary>
    UpdateSize = 1UL << 10,

    /// <summary>Request pages are registered as io_uring buffers by the driver.</summary>
    AutoBufReg = 1UL << 11,

    /// <summary>The device can be quiesced.</summary>
    Quiesce = 1UL << 12,

    /// <summary>Each tag may have a thread of its own.</summary>
    PerIoDaemon = 1UL << 13,

    /// <summary>Any thread may register buffers.</summary>
    BufRegOffDaemon = 1UL << 14,

    /// <summary>Commands for many tags at once.</summary>
    BatchIo = 1UL << 15,

    /// <summary>Integrity metadata.</summary>
    Integrity = 1UL << 16,

    /// <summary>A device can be stopped on condition that it is not open.</summary>
    SafeStopDev = 1UL << 17,

    /// <summary>The partition table is left unread.</summary>
    NoAutoPartScan = 1UL << 18,

    /// <summary>Zero copy through memory shared with the client.</summary>
    ShmemZc = 1UL << 19,

    /// <summary>The stride of descriptors is chosen by the server.</summary>
    IoDescSize = 1UL << 20,
}

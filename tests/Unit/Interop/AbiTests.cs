using System.Runtime.InteropServices;
using Ublk.Interop;

namespace Ublk.Tests.Interop;

/// <summary>Sizes and offsets of what the kernel and this program share, against linux/ublk_cmd.h and linux/io_uring.h.</summary>
public class AbiTests
{
    [Theory]
    [InlineData(typeof(UblkControlCommand), 32)]
    [InlineData(typeof(UblkDeviceInfo), 64)]
    [InlineData(typeof(UblkIoDescriptor), 24)]
    [InlineData(typeof(UblkIoCommand), 16)]
    [InlineData(typeof(UblkParameters), 120)]
    [InlineData(typeof(IoUringParams), 120)]
    [InlineData(typeof(SqRingOffsets), 40)]
    [InlineData(typeof(CqRingOffsets), 40)]
    [InlineData(typeof(IoUringSqe), 64)]
    [InlineData(typeof(IoUringCqe), 16)]
    [InlineData(typeof(IoUringResourceUpdate), 16)]
    [InlineData(typeof(IoUringGetEventsArgument), 24)]
    [InlineData(typeof(IoUringResourceTable), 32)]
    [InlineData(typeof(KernelTimespec), 16)]
    [InlineData(typeof(Libc.CapabilityHeader), 8)]
    [InlineData(typeof(Libc.CapabilitySets), 12)]
    [InlineData(typeof(Libc.Flock), 32)]
    [InlineData(typeof(Libc.StatxBuffer), 256)]
    [InlineData(typeof(Libc.TimeValue), 16)]
    [InlineData(typeof(Libc.IoVector), 16)]
    [InlineData(typeof(Libc.MessageHeader), 56)]
    public void Structures_have_the_kernels_size(Type type, int size) => Assert.Equal(size, Marshal.SizeOf(type));

    [Theory]
    [InlineData(typeof(UblkControlCommand), nameof(UblkControlCommand.Length), 6)]
    [InlineData(typeof(UblkControlCommand), nameof(UblkControlCommand.Address), 8)]
    [InlineData(typeof(UblkControlCommand), nameof(UblkControlCommand.Data), 16)]
    [InlineData(typeof(UblkControlCommand), nameof(UblkControlCommand.DevicePathLength), 24)]
    [InlineData(typeof(UblkDeviceInfo), nameof(UblkDeviceInfo.MaxIoBufferBytes), 8)]
    [InlineData(typeof(UblkDeviceInfo), nameof(UblkDeviceInfo.DeviceId), 12)]
    [InlineData(typeof(UblkDeviceInfo), nameof(UblkDeviceInfo.ServerPid), 16)]
    [InlineData(typeof(UblkDeviceInfo), nameof(UblkDeviceInfo.Flags), 24)]
    [InlineData(typeof(UblkDeviceInfo), nameof(UblkDeviceInfo.ServerCookie), 32)]
    [InlineData(typeof(UblkDeviceInfo), nameof(UblkDeviceInfo.OwnerUid), 40)]
    [InlineData(typeof(UblkParameters), nameof(UblkParameters.LogicalBlockShift), 12)]
    [InlineData(typeof(UblkParameters), nameof(UblkParameters.IoOptimalShift), 14)]
    [InlineData(typeof(UblkParameters), nameof(UblkParameters.IoMinimalShift), 15)]
    [InlineData(typeof(UblkParameters), nameof(UblkParameters.MaxSectors), 16)]
    [InlineData(typeof(UblkParameters), nameof(UblkParameters.DeviceSectors), 24)]
    [InlineData(typeof(UblkParameters), nameof(UblkParameters.DiscardGranularity), 44)]
    [InlineData(typeof(UblkParameters), nameof(UblkParameters.MaxDiscardSegments), 56)]
    [InlineData(typeof(UblkParameters), nameof(UblkParameters.DiskMajor), 68)]
    [InlineData(typeof(UblkParameters), nameof(UblkParameters.DmaAlignmentMask), 108)]
    [InlineData(typeof(IoUringSqe), nameof(IoUringSqe.CommandOp), 8)]
    [InlineData(typeof(IoUringSqe), nameof(IoUringSqe.Address), 16)]
    [InlineData(typeof(IoUringSqe), nameof(IoUringSqe.OpFlags), 28)]
    [InlineData(typeof(IoUringSqe), nameof(IoUringSqe.UserData), 32)]
    [InlineData(typeof(IoUringSqe), nameof(IoUringSqe.BufferIndex), 40)]
    [InlineData(typeof(IoUringSqe), nameof(IoUringSqe.Command), 48)]
    [InlineData(typeof(IoUringParams), nameof(IoUringParams.Sq), 40)]
    [InlineData(typeof(IoUringParams), nameof(IoUringParams.Cq), 80)]
    [InlineData(typeof(Libc.StatxBuffer), nameof(Libc.StatxBuffer.Size), 40)]
    [InlineData(typeof(Libc.StatxBuffer), nameof(Libc.StatxBuffer.DeviceMajor), 136)]
    [InlineData(typeof(Libc.StatxBuffer), nameof(Libc.StatxBuffer.DirectOffsetAlign), 156)]
    [InlineData(typeof(Libc.MessageHeader), nameof(Libc.MessageHeader.Vectors), 16)]
    [InlineData(typeof(Libc.MessageHeader), nameof(Libc.MessageHeader.VectorCount), 24)]
    public void Fields_are_at_the_kernels_offset(Type type, string field, int offset) =>
        Assert.Equal(offset, (int)Marshal.OffsetOf(type, field));

    [Theory]
    [InlineData(UblkAbi.CmdGetQueueAffinity, 'R', 0x01)]
    [InlineData(UblkAbi.CmdGetDevInfo, 'R', 0x02)]
    [InlineData(UblkAbi.CmdAddDev, 'W', 0x04)]
    [InlineData(UblkAbi.CmdDelDev, 'W', 0x05)]
    [InlineData(UblkAbi.CmdStartDev, 'W', 0x06)]
    [InlineData(UblkAbi.CmdStopDev, 'W', 0x07)]
    [InlineData(UblkAbi.CmdSetParams, 'W', 0x08)]
    [InlineData(UblkAbi.CmdGetParams, 'R', 0x09)]
    [InlineData(UblkAbi.CmdStartUserRecovery, 'W', 0x10)]
    [InlineData(UblkAbi.CmdEndUserRecovery, 'W', 0x11)]
    [InlineData(UblkAbi.CmdGetFeatures, 'R', 0x13)]
    [InlineData(UblkAbi.CmdDelDevAsync, 'R', 0x14)]
    [InlineData(UblkAbi.CmdUpdateSize, 'W', 0x15)]
    [InlineData(UblkAbi.CmdQuiesceDev, 'W', 0x16)]
    [InlineData(UblkAbi.CmdTryStopDev, 'W', 0x17)]
    public void Control_commands_are_encoded_as_ioctls_of_32_bytes(uint command, char direction, uint number) =>
        Assert.Equal(Encode(direction, 32, number), command);

    [Theory]
    [InlineData(UblkAbi.IoFetch, 0x20)]
    [InlineData(UblkAbi.IoCommitAndFetch, 0x21)]
    public void Io_commands_are_encoded_as_ioctls_of_16_bytes(uint command, uint number) =>
        Assert.Equal(Encode('W', 16, number), command);

    // _IOR and _IOWR of type 'u' (asm-generic/ioctl.h).
    private static uint Encode(char direction, uint size, uint number) =>
        ((direction == 'W' ? 3u : 2u) << 30) | (size << 16) | ((uint)'u' << 8) | number;
}

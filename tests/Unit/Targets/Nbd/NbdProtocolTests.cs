using System.Runtime.InteropServices;
using Ublk.Interop;
using Ublk.Targets.Nbd;

namespace Ublk.Tests.Targets.Nbd;

/// <summary>Layouts and numbers, against doc/proto.md of the NBD project.</summary>
public class NbdProtocolTests
{
    [Theory]
    [InlineData(typeof(NbdOptionHeader), 16)]
    [InlineData(typeof(NbdOptionReplyHeader), 20)]
    [InlineData(typeof(NbdRequestHeader), 28)]
    [InlineData(typeof(NbdExtendedRequestHeader), 32)]
    [InlineData(typeof(NbdExtendedChunkHeader), 32)]
    [InlineData(typeof(NbdSimpleReply), 16)]
    [InlineData(typeof(NbdChunkHeader), 20)]
    public void Layouts_have_the_protocols_size(Type type, int size) => Assert.Equal(size, Marshal.SizeOf(type));

    [Fact]
    public void A_request_goes_over_the_wire_as_the_protocol_has_it()
    {
        byte[] bytes = new byte[28];
        MemoryMarshal.Write(bytes,
            new NbdRequestHeader(NbdCommandFlags.NoHole, NbdCommandType.WriteZeroes, 0x0102030405060708, 0x1122334455667788, 0x99AABBCC));
        Assert.Equal("25609513000200060102030405060708112233445566778899AABBCC", Convert.ToHexString(bytes));
    }

    [Fact]
    public void An_option_goes_over_the_wire_as_the_protocol_has_it()
    {
        byte[] bytes = new byte[16];
        MemoryMarshal.Write(bytes, new NbdOptionHeader(NbdOption.StructuredReply, 0x0A0B));
        Assert.Equal("49484156454F50540000000800000A0B", Convert.ToHexString(bytes));
    }

    [Theory]
    [InlineData(1, 1)]
    [InlineData(5, 5)]
    [InlineData(12, 12)]
    [InlineData(22, 22)]
    [InlineData(28, 28)]
    [InlineData(75, 75)]
    [InlineData(95, 95)]
    [InlineData(108, Libc.ENOLINK)]
    [InlineData(11, 22)]
    [InlineData(2, 22)]
    [InlineData(uint.MaxValue, 22)]
    public void An_error_of_the_protocol_has_its_errno_and_any_other_is_EINVAL(uint error, int errno) =>
        Assert.Equal(errno, NbdError.ToErrno(error));
}

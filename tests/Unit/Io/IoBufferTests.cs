using Ublk.Io;

namespace Ublk.Tests.Io;

/// <summary>A request's data, in memory or not.</summary>
public class IoBufferTests
{
    [Fact]
    public void A_part_of_a_slot_is_its_place_in_the_request()
    {
        IoBuffer part = IoBuffer.InSlot(3, 8192).Slice(512, 1024).Slice(512);
        Assert.Equal((3, 1024, 512, false), (part.Slot, (int)part.Address, part.Length, part.IsMemory));
    }

    [Fact]
    public void A_slot_has_no_bytes_to_look_at()
    {
        IoBuffer slot = IoBuffer.InSlot(0, 512);
        Assert.Throws<InvalidOperationException>(() => slot.Span.Clear());
    }

    [Fact]
    public unsafe void Memory_has()
    {
        byte* bytes = stackalloc byte[8];
        IoBuffer buffer = new((nint)bytes, 8);
        Assert.True(buffer.IsMemory);
        buffer.Slice(4).Span.Fill(7);
        Assert.Equal((0, 7), (bytes[3], bytes[4]));
        Assert.True(default(IoBuffer).IsMemory);
    }

    [Fact]
    public void No_part_reaches_beyond_the_buffer()
    {
        IoBuffer slot = IoBuffer.InSlot(0, 512);
        Assert.Throws<ArgumentOutOfRangeException>(() => slot.Slice(513));
        Assert.Throws<ArgumentOutOfRangeException>(() => slot.Slice(256, 257));
    }
}

using System.Buffers.Binary;
using Ublk.Qcow2.Encryption;

namespace Ublk.Tests.Qcow2.Encryption;

/// <summary>The header of LUKS as qemu makes it, and with something wrong in it.</summary>
public class LuksHeaderTests
{
    private const int Area = 2 << 20;
    private static readonly byte[] s_header = Make();

    [Fact]
    public void It_is_read_as_it_was_made()
    {
        LuksHeader header = LuksHeader.Parse(s_header, Area, "a");
        Assert.Equal(("aes-xts-plain64", 64, "SHA256", 1), ($"{header.Suite}", header.KeyLength, header.Hash.Name, header.Slots.Count));
    }

    [Theory]
    [InlineData(0, "no LUKS header")]
    [InlineData(7, "version")]
    [InlineData(8, "aes with xts")]
    [InlineData(40, "aes with xts")]
    [InlineData(72, "sha256")]
    [InlineData(111, "a key of 65 bytes")]
    [InlineData(164, "iterations")]
    [InlineData(212, "iterations")]
    [InlineData(248, "key slot 0")]
    [InlineData(255, "key slot 0")]
    public void What_is_wrong_with_it_is_told(int place, string told)
    {
        byte[] bytes = [.. s_header];
        bytes[place] ^= 1;
        bytes[place] ^= (byte)(place is 164 or 212 ? 0xFE : 0);
        UblkException error = Assert.Throws<UblkException>(() => LuksHeader.Parse(bytes, Area, "a"));
        Assert.Contains(told, error.Message);
    }

    [Fact]
    public void Whatever_it_says_it_is_read_or_refused()
    {
        Random random = new(4711);
        for (int number = 0; number < 20_000; number++)
        {
            byte[] bytes = [.. s_header];
            for (int change = random.Next(1, 6); change > 0; change--)
            {
                int place = random.Next(2) == 0 ? random.Next(bytes.Length) : random.Next(120);
                if (random.Next(3) == 0)
                {
                    BinaryPrimitives.WriteUInt32BigEndian(bytes.AsSpan(int.Min(place, bytes.Length - 4)),
                        uint.MaxValue - (uint)random.Next(2));
                }
                else
                {
                    bytes[place] = (byte)random.Next(256);
                }
            }

            try
            {
                LuksHeader header =
                    LuksHeader.Parse(bytes.AsSpan(0, random.Next(20) == 0 ? random.Next(bytes.Length) : bytes.Length), Area, "a");
                Assert.All(header.Slots, slot => Assert.InRange(slot.Offset + (header.KeyLength * (long)LuksHeader.Stripes), 0, Area));
            }
            catch (UblkException)
            {
            }
        }
    }

    private static byte[] Make()
    {
        using QemuImage image = new("1k");
        image.Encrypt("1M", "luks");
        (long offset, _) = Format.ImageHeaderTests.Read(image.Path).Header.LuksArea!.Value;
        return File.ReadAllBytes(image.Path).AsSpan((int)offset, LuksHeader.Length).ToArray();
    }
}

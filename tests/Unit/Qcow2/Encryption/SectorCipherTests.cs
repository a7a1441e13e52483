using Ublk.Qcow2.Encryption;

namespace Ublk.Tests.Qcow2.Encryption;

/// <summary>The modes for sectors; that they are the right ones EncryptedImageTests has from qemu.</summary>
public class SectorCipherTests
{
    /// <summary>IEEE 1619, annex B, vector 4.</summary>
    [Fact]
    public void Xts_agrees_with_its_standard()
    {
        byte[] key = Convert.FromHexString("2718281828459045235360287471352631415926535897932384626433832795");
        byte[] data = [.. Enumerable.Range(0, 512).Select(number => (byte)number)];
        using SectorCipher cipher = new CipherSuite("aes", "xts-plain64").Prepare(key);
        cipher.Encrypt(data, 0);
        Assert.Equal("27A7479BEFA1D476489F308CD4CFA6E2A96E4BBE3208FF25287DD3819616E89C", Convert.ToHexString(data.AsSpan(0, 32)));
    }

    [Theory]
    [InlineData("xts-plain64", 64)]
    [InlineData("xts-plain", 32)]
    [InlineData("cbc-plain64", 24)]
    [InlineData("cbc-essiv:sha256", 32)]
    public void Sectors_are_alike_whether_they_come_alone_or_together(string mode, int keyLength)
    {
        Random random = new(1);
        byte[] key = new byte[keyLength];
        byte[] plain = new byte[200 * 512];
        random.NextBytes(key);
        random.NextBytes(plain);
        byte[] data = [.. plain];
        using SectorCipher cipher = new CipherSuite("aes", mode).Prepare(key);
        cipher.Encrypt(data, 7);
        for (int sector = 0; sector < 200; sector++)
        {
            byte[] one = plain.AsSpan(sector * 512, 512).ToArray();
            cipher.Encrypt(one, 7 + sector);
            Assert.True(one.AsSpan().SequenceEqual(data.AsSpan(sector * 512, 512)));
        }

        cipher.Decrypt(data, 7);
        Assert.Equal(plain, data);
    }

    [Theory]
    [InlineData("plain", true)]
    [InlineData("plain64", false)]
    public void Only_plain_numbers_begin_again_after_2_TiB(string numbering, bool areEqual)
    {
        using SectorCipher cipher = new CipherSuite("aes", $"xts-{numbering}").Prepare(new byte[32]);
        byte[] first = new byte[512];
        byte[] second = new byte[512];
        cipher.Encrypt(first, 3);
        cipher.Encrypt(second, 3 + (1L << 32));
        Assert.Equal(areEqual, first.AsSpan().SequenceEqual(second));
    }

    [Theory]
    [InlineData("serpent", "xts-plain64", 64)]
    [InlineData("aes", "ecb", 32)]
    [InlineData("aes", "xts-benbi", 64)]
    [InlineData("aes", "cbc-essiv:md5", 32)]
    [InlineData("aes", "xts-plain64", 63)]
    [InlineData("aes", "cbc-plain64", 64)]
    [InlineData("aes", "", 32)]
    public void Unknown_ciphers_are_reported(string cipher, string mode, int keyLength) =>
        Assert.False(new CipherSuite(cipher, mode).IsKnown(keyLength));
}

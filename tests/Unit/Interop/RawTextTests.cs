using System.Text;
using System.Text.Json;
using CsCheck;
using Ublk.Images;
using Ublk.Interop;

namespace Ublk.Tests.Interop;

/// <summary>Names that are no UTF-8 stay what they are.</summary>
public class RawTextTests
{
    [Fact]
    public void Any_bytes_come_back() =>
        Gen.Byte.Array[0, 40].Sample(bytes => Assert.Equal(bytes, RawText.ToBytes(RawText.Of(bytes))), iter: 5000);

    [Theory]
    [InlineData("")]
    [InlineData("k\u00f6ln.qcow2")]
    [InlineData("\ud83d\ude00")]
    public void What_is_UTF_8_is_the_text(string text)
    {
        Assert.Equal(text, RawText.Of(Encoding.UTF8.GetBytes(text)));
        Assert.Equal(Encoding.UTF8.GetBytes(text), RawText.ToBytes(text));
    }

    [Fact]
    public void A_message_with_such_a_name_can_be_reported() =>
        Assert.Contains("k\\uFFFD.qcow2", JsonSerializer.Serialize(
            new ImageReport { Warning = RawText.Of([(byte)'k', 0xF6, .. ".qcow2"u8]) }, ImageJson.Default.ImageReport));
}

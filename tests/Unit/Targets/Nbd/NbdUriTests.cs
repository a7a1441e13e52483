using Ublk.Targets.Nbd;

namespace Ublk.Tests.Targets.Nbd;

public class NbdUriTests
{
    [Theory]
    [InlineData("nbd://host", "host", 10809, null, "")]
    [InlineData("nbd://host/", "host", 10809, null, "")]
    [InlineData("NBD://host:1/disk", "host", 1, null, "disk")]
    [InlineData("nbd://host/a/b", "host", 10809, null, "a/b")]
    [InlineData("nbd://host//a", "host", 10809, null, "/a")]
    [InlineData("nbd://host/../a%20b%3F", "host", 10809, null, "../a b?")]
    [InlineData("nbd://[::1]:65535/x", "::1", 65535, null, "x")]
    [InlineData("nbd://[fe80::1]", "fe80::1", 10809, null, "")]
    [InlineData("nbd://127.0.0.1/%C3%A9", "127.0.0.1", 10809, null, "é")]
    [InlineData("nbd+unix:///disk?socket=/run/nbd", null, 0, "/run/nbd", "disk")]
    [InlineData("nbd+unix://?socket=/run/a%26b", null, 0, "/run/a&b", "")]
    [InlineData("nbd+unix:///?socket=/run/nbd", null, 0, "/run/nbd", "")]
    public void A_URI_names_a_server_and_an_export(string text, string? host, int port, string? socket, string export) =>
        Assert.Equal(new NbdUri(host, port, socket, export), NbdUri.Parse(text));

    [Theory]
    [InlineData("")]
    [InlineData("host")]
    [InlineData("http://host")]
    [InlineData("nbd:host:10809")]
    [InlineData("nbd://")]
    [InlineData("nbd:///disk")]
    [InlineData("nbd://host:")]
    [InlineData("nbd://host:0")]
    [InlineData("nbd://host:65536")]
    [InlineData("nbd://host:+1")]
    [InlineData("nbd://host:1:2")]
    [InlineData("nbd://user@host")]
    [InlineData("nbd://[::1")]
    [InlineData("nbd://[::1]x")]
    [InlineData("nbd://[::1]x:1")]
    [InlineData("nbd://host/a#b")]
    [InlineData("nbd://host/a%00b")]
    [InlineData("nbd://host/a?socket=/run/nbd")]
    [InlineData("nbd+unix:///disk")]
    [InlineData("nbd+unix:///disk?socket=nbd")]
    [InlineData("nbd+unix://host/disk?socket=/run/nbd")]
    public void What_is_no_URI_is_refused(string text) =>
        Assert.Equal(UblkError.InvalidArgument, Assert.Throws<UblkException>(() => NbdUri.Parse(text)).Error);

    [Theory]
    [InlineData("nbd+vsock://2/disk", "vsock")]
    [InlineData("nbds://host/disk?tls-verify-peer=false", "tls-verify-peer")]
    public void What_is_not_supported_is_refused_by_name(string text, string word)
    {
        UblkException refused = Assert.Throws<UblkException>(() => NbdUri.Parse(text));
        Assert.Equal(UblkError.NotSupported, refused.Error);
        Assert.Contains(word, refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Names_have_bounds()
    {
        Assert.Equal(4096, NbdUri.Parse($"nbd://host/{new string('x', 4096)}").Export.Length);
        Assert.Throws<UblkException>(() => NbdUri.Parse($"nbd://host/{new string('x', 4097)}"));
        Assert.Equal(107, NbdUri.Parse($"nbd+unix:///?socket=/{new string('x', 106)}").SocketPath!.Length);
        Assert.Throws<UblkException>(() => NbdUri.Parse($"nbd+unix:///?socket=/{new string('x', 107)}"));
    }
}

using Ublk.Exports;
using Ublk.Targets.Nbd;

namespace Ublk.Tests.Exports;

public class ExportSpecificationTests
{
    private static readonly ExportSpecification s_tcp = new() { Name = "disk", Path = "/disk.img", Port = 10809 };

    [Theory]
    [InlineData("/images/disk.qcow2", "disk")]
    [InlineData("/images/a disk's [own].raw", "a-disk-s--own-")]
    [InlineData("/images/.hidden.img", "hidden")]
    [InlineData("/images/\u00dc.img", "disk")]
    public void A_name_follows_from_the_file(string path, string name)
    {
        Assert.Equal(name, ExportSpecification.NameFor(path));
        (s_tcp with { Name = name }).Validate();
    }

    [Theory]
    [InlineData("")]
    [InlineData(".a")]
    [InlineData("-a")]
    [InlineData("a/b")]
    [InlineData("a b")]
    public void A_name_that_no_file_and_unit_can_have_is_refused(string name) => Refused(s_tcp with { Name = name });

    [Fact]
    public void An_address_that_others_reach_needs_TLS()
    {
        s_tcp.Validate();
        (s_tcp with { Address = "::1" }).Validate();
        Refused(s_tcp with { Address = "0.0.0.0" });
        Refused(s_tcp with { Address = "192.0.2.1" });
        Refused(s_tcp with { Address = "localhost" });
        (s_tcp with { Address = "0.0.0.0", TlsCertificates = "/certificates" }).Validate();
    }

    [Fact]
    public void Contradictions_are_refused()
    {
        Refused(s_tcp with { Port = 0 });
        Refused(s_tcp with { Port = 65536 });
        Refused(s_tcp with { SocketPath = $"/tmp/{new string('a', 103)}" });
        Refused(s_tcp with { Writable = true, Snapshot = "a" });
    }

    [Theory]
    [InlineData("/run/ublk/export-disk.socket")]
    [InlineData("/tmp/a user's [own] \u00dcbung/x#y?z.socket")]
    public void The_own_client_understands_the_URI(string socket)
    {
        NbdUri uri = NbdUri.Parse((s_tcp with { SocketPath = socket, Port = 0 }).Uri);
        Assert.Equal(("disk", socket), (uri.Export, uri.SocketPath));
        uri = NbdUri.Parse((s_tcp with { Address = "::1" }).Uri);
        Assert.Equal(("disk", "::1", 10809), (uri.Export, uri.Host, uri.Port));
    }

    private static void Refused(ExportSpecification specification) =>
        Assert.Equal(UblkError.InvalidArgument, Assert.Throws<UblkException>(specification.Validate).Error);
}

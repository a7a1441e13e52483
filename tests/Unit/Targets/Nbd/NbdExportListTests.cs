using Ublk.Targets.Nbd;

namespace Ublk.Tests.Targets.Nbd;

/// <summary>What Tab offers behind a server's address.</summary>
public class NbdExportListTests
{
    [Fact]
    public void Exports_of_a_server_complete_its_URI()
    {
        using TemporaryFile file = new(1 << 20);
        using NbdServer server = NbdServer.Qemu("--format=raw", "--export-name=a disk", file.Path);
        Assert.Equal([server.Uri("a%20disk")], NbdExportList.Complete(server.Uri()));
        Assert.Equal([server.Uri("a%20disk")], NbdExportList.Complete(server.Uri("a%20d")));
        Assert.Empty(NbdExportList.Complete(server.Uri("b")));
        using TemporaryFile other = new(1 << 20);
        using NbdServer network = NbdServer.QemuTcp("--format=raw", "--export-name=disk", other.Path);
        string uri = $"nbd://127.0.0.1:{network.Port}";
        Assert.Equal([$"{uri}/disk"], NbdExportList.Complete(uri));
        Assert.Equal([$"{uri}/disk"], NbdExportList.Complete($"{uri}/d"));
    }

    [Theory]
    [InlineData("")]
    [InlineData("nbd://")]
    [InlineData("nbd://127.0.0.1:1/")]
    [InlineData("nbd+unix:///?socket=/no/such/socket")]
    public void Without_a_server_there_is_nothing_to_complete(string uri) => Assert.Empty(NbdExportList.Complete(uri));

    [Fact]
    public void A_server_that_does_not_say_or_lies_completes_nothing()
    {
        byte[] data = [];
        NbdOptionReplyType type = NbdOptionReplyType.Policy;
        using ScriptedServer server = new(script =>
        {
            script.Greet();
            Assert.Equal(NbdOption.List, script.ReceiveOption().Option);
            script.Reply(NbdOption.List, type, data);
            script.Reply(NbdOption.List, NbdOptionReplyType.Ack);
            script.End();
        });
        string uri = server.Uri.Replace("disk", "", StringComparison.Ordinal);
        Assert.Empty(NbdExportList.Complete(uri));
        type = NbdOptionReplyType.Server;
        Assert.Empty(NbdExportList.Complete(uri));
        data = ScriptedServer.Bytes(100u, "name");
        Assert.Empty(NbdExportList.Complete(uri));
        data = ScriptedServer.Bytes(uint.MaxValue, "name");
        Assert.Empty(NbdExportList.Complete(uri));
        data = ScriptedServer.Bytes(4u, "name and more");
        Assert.Equal([server.Uri.Replace("disk", "name", StringComparison.Ordinal)], NbdExportList.Complete(uri));
    }
}

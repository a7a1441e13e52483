using Ublk.Io;
using Ublk.Targets;
using Ublk.Targets.Nbd;
using Ublk.Tests.Serving;

namespace Ublk.Tests.Targets.Nbd;

/// <summary>Encrypted connections to the servers that people use, and what must not connect.</summary>
public class NbdTlsTests(NbdCertificates files) : IClassFixture<NbdCertificates>
{
    private const int Block = 4096;

    // In the environment of a server.
    private string NoTls13
    {
        get
        {
            string settings = $"{files.Folder}/gnutls-keys";
            File.WriteAllText(settings, "[overrides]\ndisabled-version = tls1.3\n");
            return $"GNUTLS_SYSTEM_PRIORITY_FILE={settings}";
        }
    }

    [Theory]
    [InlineData("nbdkit", "localhost")]
    [InlineData("nbdkit", "127.0.0.1")]
    [InlineData("qemu-nbd", "localhost")]
    [InlineData("nbdkit 1.2", "localhost")]
    public void A_disk_over_TLS_with_certificates_keeps_its_data(string kind, string host)
    {
        using TemporaryFile file = new(4 << 20);
        using NbdServer server = kind == "qemu-nbd"
            ? NbdServer.QemuTcp("--object", $"tls-creds-x509,id=tls,endpoint=server,dir={files.Folder},verify-peer=yes",
                "--tls-creds=tls", "--format=raw", file.Path)
            : Nbdkit(["--tls-verify-peer", "file", file.Path], kind.EndsWith("1.2", StringComparison.Ordinal));
        using NbdTarget target = NbdServer.OpenUri($"nbds://{host}:{server.Port}/?tls-certificates={files.Folder}");
        Play(target);
    }

    [Theory]
    [InlineData("nbdkit")]
    [InlineData("qemu-nbd")]
    public void A_disk_over_TLS_with_a_key_keeps_its_data(string kind)
    {
        using TemporaryFile file = new(4 << 20);
        string folder = $"{files.Folder}/psk-{Guid.NewGuid():N}";
        Directory.CreateDirectory(folder);
        File.Copy(files.Keys, $"{folder}/keys.psk");
        using NbdServer server = kind == "qemu-nbd"
            ? NbdServer.QemuTcp("--object", $"tls-creds-psk,id=tls,endpoint=server,dir={folder}", "--tls-creds=tls", "--format=raw",
                file.Path)
            : NbdServer.Tcp("--tls=require", $"--tls-psk={files.Keys}", "file", file.Path);
        using NbdTarget target = NbdServer.OpenUri($"nbds://alice@localhost:{server.Port}/?tls-psk-file={files.Keys}");
        Play(target);
    }

    [Fact]
    public void A_Unix_socket_has_TLS_as_well()
    {
        using NbdServer server = NbdServer.Nbdkit("--tls=require", $"--tls-certificates={files.Folder}", "memory", "4M");
        string uri = server.Uri().Replace("nbd+", "nbds+", StringComparison.Ordinal);
        using (NbdTarget target = Open($"{uri}&tls-hostname=localhost", ("TlsCertificates", files.Authority)))
        {
            Play(target);
        }

        Assert.Equal(UblkError.InvalidArgument, Assert.Throws<UblkException>(() => NbdServer.OpenUri(uri)).Error);
        UblkException other = Assert.Throws<UblkException>(
            () => Open($"{uri}&tls-hostname=elsewhere", ("TlsCertificates", files.Authority)));
        Assert.Contains("mismatch", other.Message, StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public void A_server_that_is_not_who_it_should_be_is_refused()
    {
        using NbdServer server = Nbdkit(["memory", "1M"]);
        Refused($"nbds://localhost:{server.Port}/?tls-certificates={files.Stranger}", "certificate");

        // The system knows nothing of the test's authority.
        Refused($"nbds://localhost:{server.Port}/", "certificate");
        Refused($"nbds://localhost:{server.Port}/?tls-certificates={files.Authority}&tls-hostname=elsewhere", "mismatch");
        Refused($"nbds://localhost:{server.Port}/?tls-certificates={files.Authority}&tls-hostname=127.0.0.2", "mismatch");
    }

    [Fact]
    public void A_client_without_its_certificate_is_refused()
    {
        using NbdServer server = Nbdkit(["--tls-verify-peer", "memory", "1M"]);
        Assert.Throws<UblkException>(() => NbdServer.OpenUri($"nbds://localhost:{server.Port}/?tls-certificates={files.Authority}"));
        NbdServer.OpenUri($"nbds://localhost:{server.Port}/?tls-certificates={files.Folder}").Dispose();
    }

    [Fact]
    public void A_wrong_key_is_refused()
    {
        using NbdServer server = NbdServer.Tcp("--tls=require", $"--tls-psk={files.Keys}", "memory", "1M");
        Assert.Throws<UblkException>(() => NbdServer.OpenUri($"nbds://alice@localhost:{server.Port}/?tls-psk-file={files.WrongKeys}"));
        Refused($"nbds://carol@localhost:{server.Port}/?tls-psk-file={files.Keys}", "no key of carol");
        Refused($"nbds://localhost:{server.Port}/?tls-psk-file={files.Keys}", "several keys");
        Refused($"nbds://localhost:{server.Port}/?tls-psk-file=/no/such/file", "cannot be used");
        NbdServer.OpenUri($"nbds://localhost:{server.Port}/?tls-psk-file={files.Keys}&tls-username=alice").Dispose();
    }

    [Fact]
    public void A_key_serves_with_TLS_1_2_as_well()
    {
        using (NbdServer server = NbdServer.TcpWith(
            NoTls13, ["--tls=require", $"--tls-psk={files.Keys}", "memory", "4M"]))
        {
            using NbdTarget target = NbdServer.OpenUri($"nbds://alice@localhost:{server.Port}/?tls-psk-file={files.Keys}");
            Play(target);
            Assert.Throws<UblkException>(() => NbdServer.OpenUri($"nbds://alice@localhost:{server.Port}/?tls-psk-file={files.WrongKeys}"));
        }

        // Nor is a certificate good enough.
        using NbdServer other = NbdServer.TcpWith(
            NoTls13, ["--tls=require", $"--tls-certificates={files.Folder}", "memory", "1M"]);
        Assert.Throws<UblkException>(() => NbdServer.OpenUri($"nbds://alice@localhost:{other.Port}/?tls-psk-file={files.Keys}"));
    }

    [Fact]
    public void A_key_is_not_replaced_by_a_certificate()
    {
        using NbdServer server = Nbdkit(["memory", "1M"]);
        Assert.Throws<UblkException>(() => NbdServer.OpenUri($"nbds://alice@localhost:{server.Port}/?tls-psk-file={files.Keys}"));
    }

    [Fact]
    public void Clear_text_is_not_used_instead()
    {
        using NbdServer clear = NbdServer.Tcp("--tls=off", "memory", "1M");
        Refused($"nbds://localhost:{clear.Port}/", "refuses TLS");
        using NbdServer either = NbdServer.Tcp(
            "--tls=on", $"--tls-certificates={files.Folder}", "--filter=tls-fallback", "memory", "1M");
        Refused($"nbds://localhost:{either.Port}/?tls-certificates={files.Stranger}", "certificate");

        // The filter serves a small text without TLS, and the disk with it.
        using NbdTarget plain = NbdServer.OpenUri($"nbd://localhost:{either.Port}/");
        using NbdTarget encrypted = NbdServer.OpenUri($"nbds://localhost:{either.Port}/?tls-certificates={files.Authority}");
        Assert.Equal((512, 1 << 20), (plain.Geometry.Size, encrypted.Geometry.Size));
        using NbdServer only = Nbdkit(["memory", "1M"]);
        Refused($"nbd://localhost:{only.Port}/", "Use nbds://");
        using ScriptedServer old = new(script => script.Greet(0));
        Refused($"{old.Uri.Replace("nbd+", "nbds+", StringComparison.Ordinal)}&tls-hostname=localhost", "too old for TLS");
    }

    [Fact]
    public void A_server_that_speaks_no_TLS_after_all_is_refused()
    {
        using ScriptedServer server = new(script =>
        {
            script.Greet();
            Assert.Equal(NbdOption.StartTls, script.ReceiveOption().Option);
            script.Reply(NbdOption.StartTls, NbdOptionReplyType.Ack);
            script.Receive(100);
            script.Send(new byte[1000]);
        });
        UblkException refused = Assert.Throws<UblkException>(() => NbdServer.OpenUri(
            $"{server.Uri.Replace("nbd+", "nbds+", StringComparison.Ordinal)}&tls-hostname=localhost"));
        Assert.Equal(UblkError.ServerRefused, refused.Error);
    }

    [Fact]
    public void An_encrypted_connection_comes_again_as_well()
    {
        using TemporaryFile file = new(4 << 20);
        using NbdServer server = NbdServer.Nbdkit("--tls=require", $"--tls-certificates={files.Folder}", "file", file.Path);
        string uri = $"{server.Uri().Replace("nbd+", "nbds+", StringComparison.Ordinal)}&tls-hostname=localhost";
        using NbdTarget target = Open(uri, ("TlsCertificates", files.Authority), ("ReconnectTimeout", "30"));
        QueueHarness.Run(target, harness =>
        {
            byte[] data = new byte[Block];
            Assert.Equal(Block, harness.Answer(QueueHarness.Describe(IoOperation.Write, 0, Block), data));
            server.Kill();
            server.Restart();
            Assert.Equal(Block, harness.Answer(QueueHarness.Describe(IoOperation.Write, 0, Block), data));
            Assert.Equal(Block, harness.Answer(QueueHarness.Describe(IoOperation.Read, 0, Block), data));
        });
        Assert.Equal(1, target.Counters[0].Value);
    }

    [Theory]
    [InlineData("nbd://alice@host/")]
    [InlineData("nbd://host/?tls-certificates=/a")]
    [InlineData("nbds://host/?tls-certificates=a")]
    [InlineData("nbds://host/?tls-psk-file=a")]
    [InlineData("nbds://host/?tls-psk-file=/a&tls-certificates=/b")]
    [InlineData("nbds://alice@host/")]
    [InlineData("nbds+unix:///?socket=/a")]
    public void A_URI_that_makes_no_sense_is_refused(string uri) =>
        Assert.Equal(UblkError.InvalidArgument, Assert.Throws<UblkException>(() => NbdUri.Parse(uri)).Error);

    private static NbdTarget Open(string uri, params (string Name, string Value)[] options) =>
        NbdServer.OpenWith(uri, 1, readOnly: false, log: null, options);

    private static void Refused(string uri, string words) => Assert.Contains(
        words, Assert.Throws<UblkException>(() => NbdServer.OpenUri(uri)).Message, StringComparison.OrdinalIgnoreCase);

    private static void Play(NbdTarget target)
    {
        byte[] data = new byte[1 << 20];
        new Random(1).NextBytes(data);
        TargetClient client = new(target);
        client.Write(Block, data);
        client.Flush();
        Assert.Equal([.. new byte[Block], .. data], client.Read(0, Block + (1 << 20)));
        QueueHarness.Run(target, harness =>
        {
            harness.Saturate(2000, number => QueueHarness.Describe(
                number % 3 == 0 ? IoOperation.Write : IoOperation.Read, number % 100 * Block, number % 7 == 0 ? 16 * Block : Block));
        });
    }

    private NbdServer Nbdkit(string[] arguments, bool isOld = false)
    {
        // GnuTLS's own settings.
        string settings = $"{files.Folder}/gnutls-{Guid.NewGuid():N}";
        File.WriteAllText(settings, isOld ? "[overrides]\ndisabled-version = tls1.3\n" : "");
        return NbdServer.TcpWith(
            $"GNUTLS_SYSTEM_PRIORITY_FILE={settings}", ["--tls=require", $"--tls-certificates={files.Folder}", .. arguments]);
    }
}

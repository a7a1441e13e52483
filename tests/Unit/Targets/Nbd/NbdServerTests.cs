using CsCheck;
using Ublk.Interop;
using Ublk.Io;
using Ublk.Targets;
using Ublk.Targets.Nbd;
using Ublk.Tests.Serving;

namespace Ublk.Tests.Targets.Nbd;

/// <summary>Disks of the servers that people use, against a model in memory.</summary>
public class NbdServerTests
{
    private const int Size = 256 << 10;
    private const int Block = 4096;
    private const uint NoUnmap = 1u << 15;
    private const uint ForceUnitAccess = 1u << 13;

    private static readonly Gen<(IoOperation Operation, int Block, int Blocks, uint Flags, byte Fill)> Request = Gen.Select(
        Gen.OneOf(
            Gen.Const(IoOperation.Read), Gen.Const(IoOperation.Write), Gen.Const(IoOperation.Flush), Gen.Const(IoOperation.WriteZeroes)),
        Gen.Int[0, (Size / 512) - 1], Gen.Int[1, 128], Gen.OneOf(Gen.Const(0u), Gen.Const(NoUnmap), Gen.Const(ForceUnitAccess)),
            Gen.Byte[1, 255]);

    [Theory]
    [InlineData("nbdkit")]
    [InlineData("qemu-nbd raw")]
    [InlineData("qemu-nbd qcow2")]
    [InlineData("nbd-server")]
    public void Any_sequence_of_requests_reads_back_as_the_model(string kind)
    {
        using TemporaryFile file = new(Size);
        if (kind == "qemu-nbd qcow2")
        {
            Shell.Run("qemu-img", "create", "-f", "qcow2", file.Path, $"{Size}");
        }

        using NbdServer server = kind switch
        {
            "nbdkit" => NbdServer.Nbdkit("memory", $"{Size}"),
            "nbd-server" => NbdServer.Old(file.Path),
            _ => NbdServer.Qemu("--format", kind.Split(' ')[1], "--discard=unmap", file.Path),
        };
        using NbdTarget target = server.Open(kind == "nbd-server" ? "disk" : "");
        Assert.Equal(Size, target.Geometry.Size);
        byte[] model = new byte[Size];
        Request.List[200]
            .Sample(requests => QueueHarness.Run(target, harness => Play(harness, target, model, requests)), iter: 5, threads: 1);
    }

    [Fact]
    public void Many_requests_at_once_keep_their_data()
    {
        using NbdServer server = NbdServer.Nbdkit("--filter=delay", "memory", "64M", "rdelay=1ms", "wdelay=1ms");
        using NbdTarget target = server.Open();
        QueueHarness.Run(target, harness =>
        {
            for (int tag = 0; tag < 64; tag++)
            {
                harness.BufferOf(tag).Span.Fill((byte)tag);
            }

            // The first is as good as any other for a tag: each has its own block.
            harness.Saturate(64, number => QueueHarness.Describe(IoOperation.Write, number * Block, Block));
            harness.Saturate(64, number => QueueHarness.Describe(IoOperation.Read, (63 - number) * Block, Block));
            for (int tag = 0; tag < 64; tag++)
            {
                Assert.Equal(-1, harness.BufferOf(tag).Span[..Block].IndexOfAnyExcept((byte)(63 - tag)));
            }
        });
    }

    [Theory]
    [InlineData("EPERM", Libc.EPERM)]
    [InlineData("EIO", Libc.EIO)]
    [InlineData("ENOMEM", Libc.ENOMEM)]
    [InlineData("ENOSPC", Libc.ENOSPC)]
    [InlineData("EINVAL", Libc.EINVAL)]
    [InlineData("ESHUTDOWN", Libc.ENOLINK)]
    public void An_error_of_the_server_reaches_the_disks_client(string name, int errno)
    {
        using NbdServer server = NbdServer.Nbdkit("--filter=error", "memory", "16M", $"error={name}", "error-rate=100%");
        using NbdTarget target = server.Open();
        QueueHarness.Run(target, harness =>
        {
            foreach (IoOperation operation in new[] { IoOperation.Read, IoOperation.Write, IoOperation.WriteZeroes, IoOperation.Discard })
            {
                Assert.Equal(-errno, harness.Answer(QueueHarness.Describe(operation, 0, Block), new byte[Block]));
            }
        });
    }

    [Fact]
    public void Zeroes_come_as_holes()
    {
        using TemporaryFile file = new(1 << 20);
        using NbdServer server = NbdServer.Qemu("--format", "raw", file.Path);
        using NbdTarget target = server.Open();
        byte[] data = [.. Enumerable.Repeat((byte)9, Block)];
        TargetClient client = new(target);
        client.Write(64 << 10, data);
        client.Flush();
        byte[] read = client.Read(0, 256 << 10);
        Assert.Equal(data, read[(64 << 10)..((64 << 10) + Block)]);
        Assert.Equal(-1, read.AsSpan(0, 64 << 10).IndexOfAnyExcept((byte)0));
        Assert.Equal(-1, read.AsSpan((64 << 10) + Block).IndexOfAnyExcept((byte)0));
    }

    [Fact]
    public void What_the_server_says_of_its_export_reaches_the_user()
    {
        using TemporaryFile file = new(1 << 20);
        using NbdServer server = NbdServer.Qemu("--format", "raw", "--export-name", "there", file.Path);
        UblkException refused = Assert.Throws<UblkException>(() => server.Open("elsewhere"));
        Assert.Equal(UblkError.ServerRefused, refused.Error);
        Assert.Contains("'elsewhere'", refused.Message, StringComparison.Ordinal);
        Assert.Contains("Its message: export 'elsewhere' not present", refused.Message, StringComparison.Ordinal);
        server.Open("there").Dispose();
    }

    [Fact]
    public void A_server_with_TLS_alone_is_refused()
    {
        using NbdServer server = NbdServer.Nbdkit("--tls=require", "--tls-psk=/dev/null", "memory", "1M");
        UblkException refused = Assert.Throws<UblkException>(() => server.Open());
        Assert.Contains("TLS", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_oldstyle_server_is_refused_by_name()
    {
        using NbdServer server = NbdServer.Nbdkit("--oldstyle", "memory", "1M");
        Assert.Contains("oldstyle", Assert.Throws<UblkException>(() => server.Open()).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Without_structured_replies_it_works_as_well()
    {
        using NbdServer server = NbdServer.Nbdkit("--no-sr", "memory", "1M");
        using NbdTarget target = server.Open();
        TargetClient client = new(target);
        byte[] data = [.. Enumerable.Repeat((byte)5, Block)];
        client.Write(Block, data);
        Assert.Equal([.. new byte[Block], .. data], client.Read(0, 2 * Block));
    }

    [Fact]
    public void The_servers_block_sizes_become_the_disks()
    {
        using NbdServer server = NbdServer.Nbdkit("--filter=blocksize-policy", "memory", "16M",
            "blocksize-minimum=1024", "blocksize-preferred=64K", "blocksize-maximum=128K", "blocksize-error-policy=error");
        using NbdTarget target = server.Open();
        Assert.Equal((1024, 64 << 10, 128 << 10),
            (target.Geometry.LogicalBlockSize, target.Geometry.PhysicalBlockSize, target.Geometry.MaxIoSize));
        Assert.Equal(128 << 10, new TargetClient(target).Read(0, 128 << 10).Length);
    }

    [Fact]
    public void A_killed_server_fails_requests_and_a_new_disk_works()
    {
        using NbdServer server = NbdServer.Nbdkit("memory", "1M");
        using NbdTarget target = server.Open();
        server.Kill();
        Assert.Equal(Libc.ENOLINK, Assert.Throws<UblkException>(() => new TargetClient(target).Read(0, Block)).Errno);
        Assert.Equal(Libc.ENOLINK, Assert.Throws<UblkException>(() => new TargetClient(target).Write(0, new byte[Block])).Errno);
    }

    [Fact]
    public void A_server_on_TCP_works_as_well()
    {
        using NbdServer server = NbdServer.Tcp("memory", "1M");
        byte[] data = [.. Enumerable.Repeat((byte)5, Block)];
        foreach (string host in new[] { "127.0.0.1", "localhost" })
        {
            using NbdTarget target = NbdServer.OpenUri($"nbd://{host}:{server.Port}");
            TargetClient client = new(target);
            client.Write(Block, data);
            Assert.Equal([.. new byte[Block], .. data], client.Read(0, 2 * Block));
        }
    }

    private static void Play(
        QueueHarness harness, NbdTarget target, byte[] model,
        IReadOnlyList<(IoOperation Operation, int Block, int Blocks, uint Flags, byte Fill)> requests) =>
        DiskReplay.Play(
            harness, 512, model,
            requests.Where(request => request.Operation != IoOperation.WriteZeroes || target.Geometry.WriteZeroes));
}

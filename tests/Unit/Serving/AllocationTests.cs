using Ublk.Interop;
using Ublk.Io;
using Ublk.Targets;
using Ublk.Targets.Loop;
using Ublk.Targets.Nbd;
using Ublk.Targets.Null;
using Ublk.Targets.Qcow2;
using Ublk.Tests.Filters;
using Ublk.Tests.Qcow2;
using Ublk.Tests.Targets;
using Ublk.Tests.Targets.Nbd;

namespace Ublk.Tests.Serving;

/// <summary>The data path allocates nothing once it is warm.</summary>
public class AllocationTests
{
    private const int Warm = 5_000;
    private const int Counted = 20_000;

    [Fact]
    public void The_null_target_allocates_nothing()
    {
        using NullTarget target = new(1 << 30);
        Assert.Equal(0, Measure(target));
    }

    [Theory]
    [InlineData("true")]
    [InlineData("false")]
    public void The_loop_target_allocates_nothing(string direct)
    {
        using TemporaryFile file = new(4 << 20);
        using LoopTarget target = LoopTarget.Open(new TargetOptions(new Dictionary<string, string>
        {
            ["Path"] = file.Path, ["DirectIO"] = direct,
        }));
        Assert.Equal(0, Measure(target));
    }

    [Fact]
    public void A_qcow2_disk_whose_clusters_have_their_place_allocates_nothing()
    {
        using QemuImage image = new("4M", "preallocation=full");
        using Qcow2Target target = Qcow2Disk.Open(image.Path);
        Assert.Equal(0, Measure(target));
    }

    [Theory]
    [InlineData("xts")]
    [InlineData("cbc")]
    public void An_encrypted_qcow2_disk_allocates_nothing(string mode)
    {
        using QemuImage image = new("1k");
        image.Encrypt("4M", "luks", $"encrypt.cipher-mode={mode},preallocation=full");
        using Qcow2Target target = Qcow2Disk.Open(image.Path, ("KeyFile", image.KeyFile!));
        Assert.Equal(0, Measure(target));
    }

    [Theory]
    [InlineData("--filter=noparallel")]
    [InlineData("--no-sr")]
    public void The_nbd_target_allocates_nothing(string option)
    {
        using NbdServer server = NbdServer.Nbdkit(option, "memory", "16M");
        using NbdTarget target = server.Open();
        Assert.Equal(0, Measure(target));
    }

    [Fact]
    public void An_nbd_target_that_does_not_copy_allocates_nothing()
    {
        using NbdServer server = NbdServer.Nbdkit("memory", "16M");
        using NbdTarget target = server.Open();
        Assert.Equal(0, Measure(target, slotsFrom: 512));
    }

    [Fact]
    public void An_encrypted_nbd_connection_allocates_nothing()
    {
        using NbdCertificates files = new();
        using NbdServer server = NbdServer.Nbdkit("--tls=require", $"--tls-psk={files.Keys}", "memory", "16M");
        string uri = server.Uri().Replace("nbd+", "nbds+", StringComparison.Ordinal);
        using NbdTarget target = NbdServer.OpenUri($"{uri}&tls-psk-file={files.Keys}&tls-username=alice");
        Assert.Equal(0, Measure(target));
    }

    [Fact]
    public void A_reconnecting_nbd_target_allocates_nothing_while_it_need_not()
    {
        using NbdServer server = NbdServer.Nbdkit("memory", "16M");
        using NbdTarget target = NbdServer.OpenWith(
            server.Uri(), 1, readOnly: false, log: null, ("ReconnectTimeout", "60"), ("RequestTimeout", "60"));
        Assert.Equal(0, Measure(target));
    }

    [Fact]
    public void A_delay_allocates_nothing()
    {
        // In memory, where nothing but the delay suspends a request: how many do so at once is no matter of chance.
        using TemporaryFile file = new(4 << 20, "/dev/shm");
        using BlockTarget target = FilterTests.Open(
            LoopTarget.Open(new TargetOptions(new Dictionary<string, string> { ["Path"] = file.Path })), "Delay=1");
        Assert.Equal(0, Measure(target));
    }

    [Theory]
    [InlineData("Overlay")]
    [InlineData("Cache=1048576")]
    [InlineData("Offset=4096")]
    [InlineData("ErrorRate=1e-9")]
    public void A_filter_allocates_nothing(string filter)
    {
        using BlockTarget target = FilterTests.Open(new MemoryTarget(8 << 20), filter);
        Assert.Equal(0, Measure(target));
    }

    /// <summary>Counts the bytes that reads and writes of a warm target allocate on the queue's thread.</summary>
    internal static long Measure(BlockTarget target, int slotsFrom = int.MaxValue)
    {
        long allocated = 0;
        QueueHarness.Run(target, harness =>
        {
            // Until there is what every tag needs at once, of each kind.
            harness.Saturate(Warm, number => Describe(IoOperation.Read, number));
            harness.Saturate(Warm, number => Describe(IoOperation.Write, number));
            Func<int, UblkIoDescriptor> mix = Mix;

            // A collection that another test causes meanwhile moves the count by a few bytes; hardly in every run.
            allocated = Enumerable.Range(0, 3).Min(_ =>
            {
                long before = GC.GetAllocatedBytesForCurrentThread();
                harness.Saturate(Counted, mix);
                return GC.GetAllocatedBytesForCurrentThread() - before;
            });
        }, slotsFrom: slotsFrom);
        return allocated;
    }

    private static UblkIoDescriptor Mix(int number) =>
        Describe(number % 3 == 0 ? IoOperation.Write : IoOperation.Read, number);

    private static UblkIoDescriptor Describe(IoOperation operation, int number) =>
        QueueHarness.Describe(operation, number % 1000 * 4096, 4096);
}

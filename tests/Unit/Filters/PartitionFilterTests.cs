using System.Diagnostics;
using Ublk.Serving;
using Ublk.Targets;
using Ublk.Targets.Loop;
using Ublk.Tests.Serving;

namespace Ublk.Tests.Filters;

/// <summary>A partition is where sfdisk says it is.</summary>
public class PartitionFilterTests
{
    [Theory]
    [InlineData("dos", 3)]
    [InlineData("gpt", 3)]
    [InlineData("gpt", 70)]
    public void A_partition_is_where_its_table_says(string label, int number)
    {
        using TemporaryFile file = new(32 << 20);
        Partition(file, $"label: {label}\n{number}: start=10240, size=4096\n");
        byte[] mark = [.. Enumerable.Repeat((byte)7, 512)];
        using (FileStream stream = File.OpenWrite(file.Path))
        {
            stream.Position = 10240 * 512;
            stream.Write(mark);
        }

        using BlockTarget disk = Open(file, number);
        Assert.Equal(4096 * 512, disk.Geometry.Size);
        QueueHarness.Run(disk, harness =>
        {
            byte[] data = new byte[512];
            Assert.Equal(512, harness.Answer(QueueHarness.Describe(IoOperation.Read, 0, 512), data));
            Assert.Equal(mark, data);
        });
    }

    [Theory]
    [InlineData("dos", 2)]
    [InlineData("dos", 5)]
    [InlineData("gpt", 2)]
    [InlineData("gpt", 0)]
    [InlineData("gpt", 129)]
    public void One_that_is_not_there_is_an_error_that_says_so(string label, int number)
    {
        using TemporaryFile file = new(32 << 20);
        Partition(file, $"label: {label}\n1: start=10240, size=4096\n");
        UblkException exception = Assert.Throws<UblkException>(() => Open(file, number));
        Assert.Contains($"no partition {number}", exception.Message, StringComparison.Ordinal);
    }

    private static BlockTarget Open(TemporaryFile file, int number) => FilterTests.Open(
        LoopTarget.Open(new TargetOptions(new Dictionary<string, string> { ["Path"] = file.Path })), $"Partition={number}");

    private static void Partition(TemporaryFile file, string script)
    {
        using Process sfdisk = Process.Start(new ProcessStartInfo("/sbin/sfdisk", ["--quiet", file.Path]) { RedirectStandardInput = true })!;
        sfdisk.StandardInput.Write(script);
        sfdisk.StandardInput.Close();
        sfdisk.WaitForExit();
        Assert.Equal(0, sfdisk.ExitCode);
    }
}

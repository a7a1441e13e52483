using System.Buffers.Binary;
using System.Diagnostics;
using System.Globalization;
using System.IO.Compression;
using Ublk.Catalog;
using Ublk.Filters;
using Ublk.Io;
using Ublk.Specification;
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
        Partition(file.Path, $"label: {label}\n{number}: start=10240, size=4096\n");
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
        Partition(file.Path, $"label: {label}\n1: start=10240, size=4096\n");
        UblkException exception = Assert.Throws<UblkException>(() => Open(file, number));
        Assert.Contains($"no partition {number}", exception.Message, StringComparison.Ordinal);
    }

    // Judged by libblkid; a spec has the kernel's own word.
    [Theory]
    [InlineData(512, "label: gpt\nstart=2048, size=1024\n5: start=8192, size=2048\n")]
    [InlineData(4096, "label: gpt\nstart=256, size=128\n2: start=1024, size=512\n")]
    [InlineData(512, "label: dos\nstart=2048, size=1024\nstart=4096, size=2048\n")]
    [InlineData(4096, "label: dos\nstart=256, size=256\nstart=2048, size=512\n")]
    [InlineData(512, "label: dos\nstart=2048, size=1024\nstart=4096, size=40000, type=5\nstart=6144, size=1024\n"
        + "start=10240, size=2048\nsize=4096\n")]
    [InlineData(4096, "label: dos\nstart=2048, size=5000, type=f\nstart=2304, size=256\nstart=3072, size=512\n")]
    public void Partitions_are_where_others_find_them(int blockSize, string script)
    {
        using LoopDevice device = new(32 << 20, blockSize);
        Partition(device.Path, script);
        string[][] lines = [.. Shell.Run("partx", "--raw", "--noheadings", "--output", "NR,START,SECTORS,TYPE", device.Path)
            .Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => line.Split(' '))];
        Assert.NotEmpty(lines);
        for (int number = 1; number <= 10; number++)
        {
            string? name = number.ToString(CultureInfo.InvariantCulture);
            string[]? line = lines.SingleOrDefault(line => line[0] == name);
            (long, long)? expected = line is null or [.., "0x5" or "0xf"] ? null : (512 * Parse(line[1]), 512 * Parse(line[2]));

            // The blocks of the file are smaller than those of the disk that it was partitioned as.
            foreach (string path in (string[])[device.Path, device.BackingPath])
            {
                Assert.Equal(expected, Range(path, number, blockSize));
            }
        }

        static long Parse(string text) => long.Parse(text, CultureInfo.InvariantCulture);
    }

    [Theory]
    [InlineData(32, 0x8000000000000000)]
    [InlineData(40, 0x8000000000000000)]
    [InlineData(40, 65536)]
    [InlineData(40, 10239)]
    public void An_entry_with_an_end_outside_the_disk_or_before_its_start_is_no_partition(int field, ulong value)
    {
        using TemporaryFile file = new(32 << 20);
        Partition(file.Path, "label: gpt\nstart=10240, size=4096\n");
        byte[] disk = File.ReadAllBytes(file.Path);
        Span<byte> header = disk.AsSpan(512, 92);
        Span<byte> entries = disk.AsSpan(1024, 128 * 128);
        BinaryPrimitives.WriteUInt64LittleEndian(entries[field..], value);
        BinaryPrimitives.WriteUInt32LittleEndian(header[88..], Crc32(entries));
        header.Slice(16, 4).Clear();
        BinaryPrimitives.WriteUInt32LittleEndian(header[16..], Crc32(header));
        File.WriteAllBytes(file.Path, disk);
        Assert.Contains("no partition 1", Assert.Throws<UblkException>(() => Open(file, 1)).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(512 + 30)]
    [InlineData(1024 + 60)]
    public void A_table_with_a_wrong_checksum_is_damaged(int changed)
    {
        using TemporaryFile file = new(32 << 20);
        Partition(file.Path, "label: gpt\nstart=10240, size=4096\n");
        byte[] disk = File.ReadAllBytes(file.Path);
        disk[changed] ^= 1;
        File.WriteAllBytes(file.Path, disk);
        Assert.Contains("damaged: the checksum", Assert.Throws<UblkException>(() => Open(file, 1)).Message, StringComparison.Ordinal);
    }

    // RFC 1952: the last eight bytes are the checksum and the length.
    private static uint Crc32(ReadOnlySpan<byte> data)
    {
        using MemoryStream packed = new();
        using (GZipStream gzip = new(packed, CompressionLevel.NoCompression, leaveOpen: true))
        {
            gzip.Write(data);
        }

        return BinaryPrimitives.ReadUInt32LittleEndian(packed.ToArray().AsSpan()[^8..]);
    }

    [Fact]
    public void Its_blocks_are_those_that_clients_see()
    {
        using LoopDevice device = new(32 << 20, 4096);
        Partition(device.Path, "label: gpt\nstart=1024, size=512\n");
        TargetOptions options = new(new Dictionary<string, string> { ["Path"] = device.BackingPath }) { LogicalBlockSize = 4096 };
        using BlockTarget disk = FilterStack.Open(
            [new UblkFilter("Partition", new Dictionary<string, string> { ["Partition"] = "1" })], LoopTarget.Open, options);
        Assert.Equal(512 * 4096, disk.Geometry.Size);
    }

    private static (long Start, long Length)? Range(string path, int number, int blockSize)
    {
        using FileStream file = File.OpenRead(path);
        byte[] Read(long offset, int length)
        {
            byte[] data = new byte[length];
            file.Position = offset;
            file.ReadExactly(data);
            return data;
        }

        try
        {
            return new PartitionTable(Read, 32 << 20, blockSize).Find(number);
        }
        catch (UblkException)
        {
            return null;
        }
    }

    private static BlockTarget Open(TemporaryFile file, int number) => FilterTests.Open(
        LoopTarget.Open(new TargetOptions(new Dictionary<string, string> { ["Path"] = file.Path })), $"Partition={number}");

    private static void Partition(string path, string script)
    {
        ProcessStartInfo start = new("/sbin/sfdisk", ["--quiet", "--no-tell-kernel", path]) { RedirectStandardInput = true };
        using Process sfdisk = Process.Start(start)!;
        sfdisk.StandardInput.Write(script);
        sfdisk.StandardInput.Close();
        sfdisk.WaitForExit();
        Assert.Equal(0, sfdisk.ExitCode);
    }
}

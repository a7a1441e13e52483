using System.Buffers.Binary;
using Ublk.Images;
using Ublk.Interop;
using Ublk.Io;
using Ublk.Qcow2.AtRest;
using Ublk.Qcow2.Format;
using Ublk.Targets;
using Ublk.Targets.Qcow2;
using Ublk.Tests.Qcow2.Format;
using Ublk.Tests.Serving;

namespace Ublk.Tests.Qcow2;

/// <summary>What the format has beside plain clusters, in images that qemu made and judges after.</summary>
public class Qcow2FeatureTests
{
    [Theory]
    [InlineData("zlib", "64k")]
    [InlineData("zlib", "512")]
    [InlineData("zlib", "2M")]
    [InlineData("zstd", "64k")]
    [InlineData("zstd", "4k")]
    public void Compressed_clusters_are_read_and_written_over(string type, string clusterSize)
    {
        using QemuImage image = new("1M");
        byte[] content = MakeText(4 << 20);
        File.WriteAllBytes(image.PathOf("raw"), content);
        Shell.Run("qemu-img", "convert", "-c", "-f", "raw", "-O", "qcow2", "-o", $"compression_type={type},cluster_size={clusterSize}",
            image.PathOf("raw"), image.Path);
        using (Qcow2Target target = Qcow2Disk.Open(image.Path))
        {
            Assert.Equal(content, Qcow2Disk.Read(target));
            Assert.True(target.Statistics.Decompressions.Value > 0);
            Change(target, content, 0, 4096);
            Change(target, content, 100 << 10, 60 << 10);
            Change(target, content, (3 << 20) + 512 * 4, 512 * 8);
            Assert.Equal(0, Qcow2Disk.Do(target, IoOperation.WriteZeroes, 2 << 20, 48 << 10));
            content.AsSpan(2 << 20, 48 << 10).Clear();
            Assert.Equal(content, Qcow2Disk.Read(target));
        }

        image.Check();
        Assert.Equal(content, image.Read());
    }

    [Theory]
    [InlineData("64k", 16)]
    [InlineData("2M", 2)]
    public void A_compressed_cluster_is_decompressed_once_for_reads_that_follow_each_other(string clusterSize, int kept)
    {
        using QemuImage image = new("1M");
        byte[] content = MakeCompressible(8 << 20);
        File.WriteAllBytes(image.PathOf("raw"), content);
        Shell.Run("qemu-img", "convert", "-c", "-f", "raw", "-O", "qcow2", "-o", $"cluster_size={clusterSize}", image.PathOf("raw"),
            image.Path);
        using Qcow2Target target = Qcow2Disk.Open(image.Path);
        int size = (int)ImageHeaderTests.Read(image.Path).Header.Layout.ClusterSize;
        QueueHarness.Run(target, harness =>
        {
            byte[] block = new byte[4096];
            void ReadAt(int offset)
            {
                Assert.Equal(4096, harness.Answer(QueueHarness.Describe(IoOperation.Read, offset, 4096), block));
                Assert.True(content.AsSpan(offset, 4096).SequenceEqual(block));
            }

            for (int offset = 0; offset < content.Length; offset += 4096)
            {
                ReadAt(offset);
            }

            Assert.Equal(content.Length / size, target.Statistics.Decompressions.Value);

            // The last ones are kept, and no more.
            for (int cluster = (content.Length / size) - kept; cluster < content.Length / size; cluster++)
            {
                ReadAt(cluster * size);
            }

            Assert.Equal(content.Length / size, target.Statistics.Decompressions.Value);
            ReadAt(0);
            Assert.Equal((content.Length / size) + 1, target.Statistics.Decompressions.Value);
        });
    }

    [Fact]
    public void Requests_for_parts_of_compressed_clusters_share_them_while_they_are_in_flight()
    {
        using QemuImage image = new("1M");
        byte[] content = MakeCompressible(8 << 20);
        File.WriteAllBytes(image.PathOf("raw"), content);
        Shell.Run("qemu-img", "convert", "-c", "-f", "raw", "-O", "qcow2", image.PathOf("raw"), image.Path);
        using Qcow2Target target = Qcow2Disk.Open(image.Path);
        QueueHarness.Run(target, harness =>
        {
            // More clusters than are kept, each for two requests.
            IoTask<int>[] reads = new IoTask<int>[64];
            static int OffsetOf(int tag) => (tag / 2 * (64 << 10)) + (tag % 2 * (32 << 10));
            for (int tag = 0; tag < reads.Length; tag++)
            {
                reads[tag] = harness.Start(tag, QueueHarness.Describe(IoOperation.Read, OffsetOf(tag), 32 << 10));
            }

            for (int tag = 0; tag < reads.Length; tag++)
            {
                Assert.Equal(0, harness.AnswerOf(reads[tag]));
                Assert.True(content.AsSpan(OffsetOf(tag), 32 << 10).SequenceEqual(harness.BufferOf(tag).Span[..(32 << 10)]));
            }
        });
        Assert.Equal(32, target.Statistics.Decompressions.Value);
    }

    [Fact]
    public void Compressed_clusters_that_are_no_such_thing_are_an_error_of_that_read_alone()
    {
        using QemuImage image = new("1M");
        image.Play("write -c -P 3 0 64k", "write -P 4 64k 64k");
        byte[] file = File.ReadAllBytes(image.Path);
        ImageHeader header = ImageHeaderTests.Read(image.Path).Header;
        long table = new L1Entry(BinaryPrimitives.ReadUInt64BigEndian(file.AsSpan((int)header.L1Offset))).Offset;
        L2Entry entry = new(BinaryPrimitives.ReadUInt64BigEndian(file.AsSpan((int)table)));
        file.AsSpan((int)entry.CompressedOffset(header.Layout), 16).Fill(0xFF);
        File.WriteAllBytes(image.Path, file);
        using Qcow2Target target = Qcow2Disk.Open(image.Path);
        Assert.Equal(-Libc.EIO, Qcow2Disk.Do(target, IoOperation.Read, 0, 4096));
        Assert.Equal(-Libc.EIO, Qcow2Disk.Do(target, IoOperation.Read, 0, 4096));
        Assert.Equal(4096, Qcow2Disk.Do(target, IoOperation.Read, 64 << 10, 4096));
        Assert.Equal(4096, Qcow2Disk.Write(target, 64 << 10, 4096, 1));
    }

    [Fact]
    public void A_compressed_cluster_may_be_several_zstd_frames()
    {
        using QemuImage image = new("1M", "compression_type=zstd");
        image.Play("write -c -P 3 0 64k");
        byte[] file = File.ReadAllBytes(image.Path);
        ImageHeader header = ImageHeaderTests.Read(image.Path).Header;
        long table = new L1Entry(BinaryPrimitives.ReadUInt64BigEndian(file.AsSpan((int)header.L1Offset))).Offset;
        L2Entry entry = new(BinaryPrimitives.ReadUInt64BigEndian(file.AsSpan((int)table)));
        Array.Resize(ref file, (int)entry.CompressedOffset(header.Layout) + entry.CompressedLength(header.Layout));
        Span<byte> place = file.AsSpan((int)entry.CompressedOffset(header.Layout), entry.CompressedLength(header.Layout));
        Ublk.Worker.ZstdCodec codec = new();
        foreach (byte value in (byte[])[5, 6])
        {
            place = place[codec.TryCompress([.. Enumerable.Repeat(value, 32 << 10)], place)..];
        }

        place.Fill(0xFF);
        File.WriteAllBytes(image.Path, file);
        image.Play("read -P 5 0 32k", "read -P 6 32k 32k");
        using Qcow2Target target = Qcow2Disk.Open(image.Path, readOnly: true);
        byte[] content = Qcow2Disk.Read(target);
        Assert.True(content.AsSpan().SequenceEqual(image.Read()));
        Assert.Equal((5, 6), (content[0], content[(64 << 10) - 1]));
    }

    [Theory]
    [InlineData("")]
    [InlineData("compat=v2")]
    [InlineData("cluster_size=4k,refcount_bits=8")]
    [InlineData("extended_l2=on")]
    public void Snapshots_are_read_by_id_and_name_and_survive_every_write(string options)
    {
        using QemuImage image = new("8M", options);
        image.Play("write -P 1 0 2M", "write -c -P 9 3M 64k");
        byte[] first = image.Read();
        image.Snapshot("-c", "one");
        image.Play("write -P 2 1M 2M");
        byte[] second = image.Read();
        image.Snapshot("-c", "two");
        byte[] content = [.. second];
        using (Qcow2Target target = Qcow2Disk.Open(image.Path))
        {
            Change(target, content, 4096, 4096);
            Change(target, content, 1 << 20, 64 << 10);
            Change(target, content, (3 << 20) + 8192, 4096);
            Change(target, content, 5 << 20, 4096);
            Assert.Equal(0, Qcow2Disk.Do(target, IoOperation.WriteZeroes, 512 << 10, 64 << 10));
            content.AsSpan(512 << 10, 64 << 10).Clear();
            Assert.Equal(content, Qcow2Disk.Read(target));
        }

        image.Check();
        Assert.Equal(content, image.Read());
        using (Qcow2Target one = Qcow2Disk.Open(image.Path, ("Snapshot", "one")))
        {
            Assert.True(one.Geometry.ReadOnly);
            Assert.Equal(-Libc.EROFS, Qcow2Disk.Write(one, 0, 4096, 1));
            Assert.Equal(first, Qcow2Disk.Read(one));
        }

        using (Qcow2Target two = Qcow2Disk.Open(image.Path, ("Snapshot", "2")))
        {
            Assert.Equal(second, Qcow2Disk.Read(two));
        }

        UblkException error = Assert.Throws<UblkException>(() => Qcow2Disk.Open(image.Path, ("Snapshot", "three")));
        Assert.Equal(UblkError.SnapshotNotFound, error.Error);
        image.Snapshot("-a", "one");
        Assert.Equal(first, image.Read());
    }

    [Theory]
    [InlineData("off")]
    [InlineData("on")]
    public void The_data_may_be_in_a_file_of_its_own(string raw)
    {
        using QemuImage image = new("1M");
        File.Delete(image.Path);
        image.Create("disk.qcow2", "4M", $"data_file={image.PathOf("data")},data_file_raw={raw}");
        byte[] content = new byte[4 << 20];
        using (Qcow2Target target = Qcow2Disk.Open(image.Path))
        {
            Change(target, content, 0, 64 << 10);
            Change(target, content, (1 << 20) + 4096, 8192);
            Change(target, content, 3 << 20, 128 << 10);
            Assert.Equal(0, Qcow2Disk.Do(target, IoOperation.WriteZeroes, 3 << 20, 64 << 10));
            content.AsSpan(3 << 20, 64 << 10).Clear();
            Assert.Equal(0, Qcow2Disk.Do(target, IoOperation.Discard, 0, 64 << 10));
            content.AsSpan(0, 64 << 10).Clear();
            Change(target, content, 4096, 4096);
            Assert.Equal(content, Qcow2Disk.Read(target));
        }

        image.Check();
        Assert.Equal(content, image.Read());
        if (raw == "on")
        {
            byte[] data = File.ReadAllBytes(image.PathOf("data"));
            Array.Resize(ref data, content.Length);
            Assert.Equal(content, data);
        }
    }

    [Theory]
    [InlineData("cluster_size=4k")]
    [InlineData("cluster_size=64k,extended_l2=on")]
    public void A_raw_data_file_is_the_disk_whatever_is_done_to_it(string options)
    {
        using QemuImage image = new("1M");
        File.Delete(image.Path);
        image.Create("disk.qcow2", "2M", $"{options},data_file={image.PathOf("data")},data_file_raw=on");
        byte[] content;
        Random random = new(2);
        using (Qcow2Target target = Qcow2Disk.Open(image.Path))
        {
            for (int number = 0; number < 100; number++)
            {
                int offset = random.Next(512) * 4096;
                int length = int.Min(random.Next(1, 40) * 4096, (2 << 20) - offset);
                IoOperation operation =
                    random.Next(4) switch { 0 => IoOperation.Discard, 1 => IoOperation.WriteZeroes, _ => IoOperation.Write };
                Assert.True(Qcow2Disk.Do(target, operation, offset, length, (byte)random.Next(1, 256)) >= 0);
            }

            content = Qcow2Disk.Read(target);
        }

        image.Check();
        Assert.True(content.AsSpan().SequenceEqual(image.Read()));
        byte[] data = File.ReadAllBytes(image.PathOf("data"));
        Array.Resize(ref data, content.Length);
        Assert.True(content.AsSpan().SequenceEqual(data));
    }

    [Fact]
    public void The_dirty_bit_has_the_reference_counts_rebuilt()
    {
        using QemuImage image = new("4M", "lazy_refcounts=on");
        image.Play("write -P 1 0 1M");
        ImageHeader header = ImageHeaderTests.Read(image.Path).Header;
        using (FileStream file = File.Open(image.Path, FileMode.Open))
        {
            file.Position = ImageHeader.IncompatibleFeaturesField + 7;
            file.WriteByte((byte)IncompatibleFeatures.Dirty);
            byte[] entry = new byte[8];
            file.Position = header.RefcountTableOffset;
            file.ReadExactly(entry);

            // As if the counts of the second half had never been written.
            file.Position = BinaryPrimitives.ReadInt64BigEndian(entry) + 20;
            file.Write(new byte[16]);
        }

        using (Qcow2Target target = Qcow2Disk.Open(image.Path))
        {
            Assert.Equal(65536, Qcow2Disk.Write(target, 2 << 20, 65536, 2));
        }

        image.Check();
        byte[] content = image.Read();
        Assert.Equal(-1, content.AsSpan(0, 1 << 20).IndexOfAnyExcept((byte)1));
        Assert.Equal(IncompatibleFeatures.None, ImageHeaderTests.Read(image.Path).Header.Incompatible);
    }

    [Fact]
    public void Bitmaps_that_cannot_be_read_end_too()
    {
        using QemuImage image = new("1M");
        Shell.Run("qemu-img", "bitmap", "--add", image.Path, "one");
        (ImageHeader header, _) = ImageHeaderTests.Read(image.Path);
        using (FileStream file = File.OpenWrite(image.Path))
        {
            // The size of the first bitmap's table.
            file.Position = BitmapDirectory.Of(header, image.Path)!.Offset + 8;
            file.Write([0xff, 0xff, 0xff, 0xff]);
        }

        CheckImage check = new() { Path = image.Path };
        Assert.Equal(UblkError.InvalidImage, Assert.Throws<UblkException>(() => check.Run(ImageProgress.None)).Error);
        Assert.Equal(UblkError.InvalidImage, Assert.Throws<UblkException>(() => ImageInspector.Inspect(image.Path, null)).Error);
        TargetOptions options = new(new Dictionary<string, string> { ["Path"] = image.Path });
        using Qcow2Target target = Qcow2Target.Open(options);
        Assert.Contains("bitmaps", Assert.Single(options.Warnings));
        Assert.Equal(4096, Qcow2Disk.Write(target, 0, 4096, 1));
    }

    [Fact]
    public void What_is_unknown_in_a_header_outlives_writing()
    {
        using QemuImage image = new("1M");
        (ImageHeader header, _) = ImageHeaderTests.Read(image.Path);
        byte[] cluster = (header with
        {
            Compatible = (CompatibleFeatures)(1UL << 33),
            Autoclear = (AutoclearFeatures)(1UL << 9),
            Extensions = [new HeaderExtension(0x12345678, [1, 2, 3]), .. header.Extensions],
        }).ToCluster(image.Path);
        using (FileStream file = File.OpenWrite(image.Path))
        {
            file.Write(cluster);
        }

        using (Qcow2Target target = Qcow2Disk.Open(image.Path))
        {
            Qcow2Disk.Write(target, 0, 4096, 1);
        }

        cluster.AsSpan(ImageHeader.AutoclearFeaturesField, 8).Clear();
        Assert.Equal(cluster, ImageHeaderTests.Read(image.Path).Cluster);
        image.Check();
    }

    [Fact]
    public void Discards_and_zeroes_become_holes_of_the_host_file()
    {
        using QemuImage image = new("8M");
        image.Play("write -P 1 0 4M");
        long before = Allocated(image.Path);
        using (Qcow2Target target = Qcow2Disk.Open(image.Path))
        {
            Assert.Equal(0, Qcow2Disk.Do(target, IoOperation.Discard, 0, 1 << 20));
            Assert.Equal(0, Qcow2Disk.Do(target, IoOperation.WriteZeroes, 1 << 20, 1 << 20));
        }

        image.Check();
        Assert.InRange(before - Allocated(image.Path), (2 << 20) - (256 << 10), 3 << 20);
    }

    [Fact]
    public void With_Discard_Ignore_a_discard_does_nothing()
    {
        using QemuImage image = new("1M");
        image.Play("write -P 1 0 1M");
        using Qcow2Target target = Qcow2Disk.Open(image.Path, ("Discard", "Ignore"));
        Assert.Equal(0, target.Geometry.DiscardGranularity);
        Assert.Equal(0, Qcow2Disk.Do(target, IoOperation.Discard, 0, 1 << 20));
        Assert.Equal(-1, Qcow2Disk.Read(target).AsSpan().IndexOfAnyExcept((byte)1));
    }

    [Fact]
    public void What_was_done_is_counted_over_the_chain()
    {
        using QemuImage image = new("1k");
        image.Create("base", "1M", "cluster_size=4k");
        Shell.Run("qemu-io", "-f", "qcow2", "-c", "write -P 1 0 1M", image.PathOf("base"));
        File.Delete(image.Path);
        image.Create("disk.qcow2", "1M", "cluster_size=4k", "-F", "qcow2", "-b", "base");
        using Qcow2Target target = Qcow2Disk.Open(image.Path);
        Qcow2Disk.Write(target, 512, 512, 2);
        Qcow2Disk.Write(target, 1024, 512, 3);
        Qcow2Disk.Do(target, IoOperation.Flush);
        Qcow2Disk.Do(target, IoOperation.Discard, 0, 4096);
        Dictionary<string, long> counts = target.Counters.ToDictionary(counter => counter.Name, counter => counter.Value);
        Assert.Equal((1, 1, 1), (counts["Allocations"], counts["CopiesOnWrite"], counts["CacheMisses"]));
        Assert.True(counts["CacheHits"] > 0 && counts["MetadataFlushes"] > 0);
    }

    [Fact]
    public void Reads_of_what_is_nowhere_wait_for_nothing()
    {
        using QemuImage image = new("1M");
        using Qcow2Target target = Qcow2Disk.Open(image.Path);
        Ublk.Tests.Serving.QueueHarness.Run(target, harness => Assert.True(
            harness.IsAnsweredAtOnce(Ublk.Tests.Serving.QueueHarness.Describe(IoOperation.Read, 0, 65536))));
    }

    private static void Change(Qcow2Target target, byte[] content, int offset, int length)
    {
        byte value = (byte)(offset / 4096 % 250 + 1);
        Assert.Equal(length, Qcow2Disk.Write(target, offset, length, value));
        content.AsSpan(offset, length).Fill(value);
    }

    // Compresses well, and has an end that does not.
    // Each sector has one byte, so every cluster becomes smaller.
    private static byte[] MakeCompressible(int length)
    {
        byte[] content = new byte[length];
        for (int start = 0; start < length; start += 512)
        {
            content.AsSpan(start, 512).Fill((byte)((start / 512 * 31) + (start >> 16)));
        }

        return content;
    }

    private static byte[] MakeText(int length)
    {
        byte[] content = new byte[length];
        for (int index = 0; index < length; index++)
        {
            content[index] = (byte)(index / 64 + (index % 7));
        }

        new Random(3).NextBytes(content.AsSpan(length - (256 << 10)));
        return content;
    }

    private static long Allocated(string path) => long.Parse(Shell.Run("du", "--block-size=1", path).Split('\t')[0]);
}

using System.Buffers.Binary;
using Ublk.Files;
using Ublk.Images;
using Ublk.Interop;
using Ublk.Io;
using Ublk.Qcow2.AtRest;
using Ublk.Qcow2.Format;
using Ublk.Targets.Qcow2;
using Ublk.Tests.Qcow2.Format;

namespace Ublk.Tests.Qcow2;

/// <summary>Metadata that lies is noticed before it does harm: the image is marked and not written any more.</summary>
public class Qcow2CorruptionTests
{
    [Theory]
    [InlineData("L1")]
    [InlineData("L2")]
    [InlineData("refcounts")]
    [InlineData("refcount block")]
    public void Data_is_never_written_over_metadata(string what)
    {
        using QemuImage image = new("1M");
        image.Play("write 0 64k");
        Forge(image.Path, header => L2Entry.At(Place(image.Path, header, what)).Descriptor);
        byte[] before = File.ReadAllBytes(image.Path);
        using (Qcow2Target target = Qcow2Disk.Open(image.Path))
        {
            Assert.Equal(-Libc.EIO, Qcow2Disk.Write(target, 0, 4096, 1));
            Assert.Equal(-Libc.EIO, Qcow2Disk.Write(target, 512 << 10, 4096, 1));
            Assert.Equal(-Libc.EIO, Qcow2Disk.Do(target, IoOperation.Flush));
            Assert.Equal(4096, Qcow2Disk.Do(target, IoOperation.Read, 512 << 10, 4096));
        }

        RequireMarkedAndOtherwiseSame(image.Path, before);
        UblkException error = Assert.Throws<UblkException>(() => Qcow2Disk.Open(image.Path));
        Assert.Equal(UblkError.InvalidImage, error.Error);
        Qcow2Disk.Open(image.Path, readOnly: true).Dispose();
    }

    [Theory]
    [InlineData("L2")]
    [InlineData("refcount block")]
    public void A_discard_frees_no_metadata(string what)
    {
        using QemuImage image = new("1M");
        image.Play("write 0 64k");
        Forge(image.Path, header => L2Entry.At(Place(image.Path, header, what)).Descriptor);
        using (Qcow2Target target = Qcow2Disk.Open(image.Path))
        {
            Assert.Equal(0, Qcow2Disk.Discard(target, 0, 64 << 10));
            for (int round = 1; round < 8; round++)
            {
                Assert.Equal(0, Qcow2Disk.Do(target, IoOperation.Flush));
                Assert.Equal(64 << 10, Qcow2Disk.Write(target, round * 64 << 10, 64 << 10, (byte)round));
            }
        }

        image.CheckButForLeaks();
        byte[] disk = image.Read();
        Assert.All(Enumerable.Range(0, 8), round => Assert.Equal((byte)round, disk[round * 64 << 10]));
    }

    [Fact]
    public void An_entry_that_points_into_the_middle_of_a_cluster_is_not_followed()
    {
        using QemuImage image = new("1M");
        image.Play("write 0 64k");
        Forge(image.Path, _ => L2Entry.At(0x50200).Descriptor);
        byte[] before = File.ReadAllBytes(image.Path);
        using (Qcow2Target target = Qcow2Disk.Open(image.Path))
        {
            Assert.Equal(-Libc.EIO, Qcow2Disk.Do(target, IoOperation.Read, 0, 4096));
            Assert.Equal(-Libc.EIO, Qcow2Disk.Write(target, 512 << 10, 4096, 1));
        }

        RequireMarkedAndOtherwiseSame(image.Path, before);
    }

    [Fact]
    public void The_header_is_never_taken_for_an_L2_table()
    {
        using QemuImage image = new("1M");
        long l1 = ImageHeaderTests.Read(image.Path).Header.L1Offset;
        using (FileStream file = File.Open(image.Path, FileMode.Open))
        {
            file.Position = l1;
            file.WriteByte(0x80);
        }

        byte[] before = File.ReadAllBytes(image.Path);
        using (Qcow2Target target = Qcow2Disk.Open(image.Path))
        {
            Assert.Equal(4096, Qcow2Disk.Do(target, IoOperation.Read, 0, 4096));
            Assert.Equal(-Libc.EIO, Qcow2Disk.Write(target, 0, 4096, 1));
        }

        RequireMarkedAndOtherwiseSame(image.Path, before);
    }

    [Fact]
    public void A_count_of_0_for_metadata_is_not_believed()
    {
        using QemuImage image = new("1M");
        image.Play("write 0 64k");
        long block = Place(image.Path, ImageHeaderTests.Read(image.Path).Header, "refcount block");
        using (FileStream file = File.Open(image.Path, FileMode.Open))
        {
            file.Position = block;
            file.Write(new byte[64]);
        }

        byte[] before = File.ReadAllBytes(image.Path);
        using (Qcow2Target target = Qcow2Disk.Open(image.Path))
        {
            Assert.Equal(-Libc.EIO, Qcow2Disk.Write(target, 512 << 10, 4096, 1));
        }

        RequireMarkedAndOtherwiseSame(image.Path, before);
    }

    [Fact]
    public void Tables_that_claim_the_same_cluster_keep_an_image_from_being_written_at_all()
    {
        using QemuImage image = new("1M");
        image.Play("write 0 64k");
        ImageHeader header = ImageHeaderTests.Read(image.Path).Header;
        using (FileStream file = File.Open(image.Path, FileMode.Open))
        {
            file.Position = header.L1Offset;
            byte[] entry = new byte[8];
            BinaryPrimitives.WriteUInt64BigEndian(entry, L1Entry.At(header.RefcountTableOffset).Raw);
            file.Write(entry);
        }

        Assert.Equal(UblkError.InvalidImage, Assert.Throws<UblkException>(() => Qcow2Disk.Open(image.Path)).Error);
        Qcow2Disk.Open(image.Path, readOnly: true).Dispose();
    }

    // Only an external data file has data at offset 0.
    [Theory]
    [InlineData(0x8000_0000_0000_0000)]
    [InlineData(0x8000_0000_0000_0001)]
    public void The_header_is_never_taken_for_data(ulong descriptor)
    {
        using QemuImage image = new("1M");
        image.Play("write -P 7 0 128k");
        Forge(image.Path, _ => descriptor);
        using TemporaryFile before = new(0);
        Shell.Run("qemu-img", "convert", "-O", "raw", image.Path, before.Path);
        byte[] content = File.ReadAllBytes(before.Path);
        byte[] header = File.ReadAllBytes(image.Path)[..512];
        Assert.Equal(0, content[0]);
        using TemporaryFile copy = new(0);
        File.Delete(copy.Path);
        new ConvertImage
        {
            Path = image.Path, Destination = copy.Path, Options = new NewImageOptions { Format = ImageFormat.Raw },
        }.Run(ImageProgress.None);
        Assert.Equal(content, File.ReadAllBytes(copy.Path));
        using (Qcow2Target target = Qcow2Disk.Open(image.Path, readOnly: true))
        {
            Assert.Equal(content, Qcow2Disk.Read(target));
        }

        Shell.Run("qemu-img", "check", "-q", "-r", "leaks", image.Path);
        new OptimizeImage { Path = image.Path }.Run(ImageProgress.None);
        Assert.Equal(header, File.ReadAllBytes(image.Path)[..512]);
        Shell.Run("qemu-img", "compare", "-q", "-f", "qcow2", "-F", "raw", image.Path, before.Path);
        Shell.Run("qemu-img", "check", "-q", image.Path);
    }

    private static void RequireMarkedAndOtherwiseSame(string path, byte[] before)
    {
        byte[] after = File.ReadAllBytes(path);
        Assert.Equal((byte)IncompatibleFeatures.Corrupt, after[ImageHeader.IncompatibleFeaturesField + 7]);
        after[ImageHeader.IncompatibleFeaturesField + 7] = 0;
        Assert.True(before.AsSpan().SequenceEqual(after.AsSpan(0, before.Length)));
    }

    // Replaces the first L2 entry.
    private static void Forge(string path, Func<ImageHeader, ulong> descriptor)
    {
        ImageHeader header = ImageHeaderTests.Read(path).Header;
        byte[] entry = new byte[8];
        BinaryPrimitives.WriteUInt64BigEndian(entry, descriptor(header));
        using FileStream file = File.Open(path, FileMode.Open);
        long table = TableOf(file, header);
        file.Position = table;
        file.Write(entry);
    }

    private static long Place(string path, ImageHeader header, string what)
    {
        using FileStream file = File.Open(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        return what switch
        {
            "L1" => header.L1Offset,
            "L2" => TableOf(file, header),
            "refcounts" => header.RefcountTableOffset,
            _ => ReadOffset(file, header.RefcountTableOffset),
        };
    }

    private static long TableOf(FileStream file, ImageHeader header) =>
        new L1Entry((ulong)ReadOffset(file, header.L1Offset)).Offset;

    private static long ReadOffset(FileStream file, long place)
    {
        byte[] entry = new byte[8];
        file.Position = place;
        file.ReadExactly(entry);
        return BinaryPrimitives.ReadInt64BigEndian(entry);
    }
}

using System.Buffers.Binary;
using CsCheck;
using Ublk.Qcow2.Format;

namespace Ublk.Tests.Qcow2.Format;

/// <summary>Headers as qemu writes them, and as nobody should.</summary>
public class ImageHeaderTests
{
    private const string Name = "disk.qcow2";

    [Theory]
    [InlineData("compat=v2")]
    [InlineData("compat=v2,cluster_size=512")]
    [InlineData("compat=v3")]
    [InlineData("cluster_size=512")]
    [InlineData("cluster_size=4096,refcount_bits=1")]
    [InlineData("cluster_size=2M,refcount_bits=64")]
    [InlineData("lazy_refcounts=on,refcount_bits=8")]
    [InlineData("extended_l2=on,compression_type=zstd")]
    [InlineData("backing_file=/dev/null,backing_fmt=raw")]
    [InlineData("compat=v2,backing_file=/dev/null,backing_fmt=raw")]
    public void A_header_tells_what_qemu_tells_and_is_written_as_it_was_read(string options)
    {
        using QemuImage image = new("100M", options);
        (ImageHeader header, byte[] cluster) = Read(image.Path);
        var info = image.Info();
        var specific = info.GetProperty("format-specific").GetProperty("data");
        Assert.Equal(info.GetProperty("virtual-size").GetInt64(), header.Size);
        Assert.Equal(info.GetProperty("cluster-size").GetInt32(), header.Layout.ClusterSize);
        Assert.Equal(specific.GetProperty("compat").GetString() == "0.10" ? 2 : 3, header.Version);
        Assert.Equal(specific.GetProperty("refcount-bits").GetInt32(), 1 << header.RefcountOrder);
        Assert.Equal(specific.GetProperty("compression-type").GetString(), header.Compression.ToString().ToLowerInvariant());
        if (header.Version == 3)
        {
            Assert.Equal(specific.GetProperty("lazy-refcounts").GetBoolean(), header.Compatible.HasFlag(CompatibleFeatures.LazyRefcounts));
            Assert.Equal(specific.GetProperty("extended-l2").GetBoolean(), header.Layout.HasExtendedL2);
        }

        Assert.Equal(options.Contains("backing") ? "/dev/null" : null, header.BackingFile);
        Assert.Equal(options.Contains("backing") ? "raw" : null, header.BackingFormat);
        Assert.Equal(cluster, header.ToCluster(Name));
    }

    [Theory]
    [InlineData("off")]
    [InlineData("on")]
    public void The_name_of_a_data_file_is_read(string raw)
    {
        using QemuImage image = new("1M");
        image.Create("disk.qcow2", "1M", $"data_file={image.PathOf("data")},data_file_raw={raw}");
        ImageHeader header = Read(image.Path).Header;
        Assert.Equal(image.PathOf("data"), header.DataFile);
        Assert.True(header.Incompatible.HasFlag(IncompatibleFeatures.ExternalData));
        Assert.Equal(raw == "on", header.Autoclear.HasFlag(AutoclearFeatures.RawExternalData));
    }

    // As qemu reads it: an extension that stands twice counts as it stands last.
    [Theory]
    [InlineData("raw", "qcow2")]
    [InlineData("qcow2", "raw")]
    public void The_last_extension_of_a_type_counts(string first, string last)
    {
        using QemuImage image = new("1M");
        image.Create("base", "1M");
        image.Create("disk.qcow2", "1M", "", "-b", "base", "-F", "qcow2");
        (ImageHeader header, _) = Read(image.Path);
        header = header with
        {
            Extensions =
            [
                HeaderExtension.OfText(HeaderExtension.BackingFormat, first),
                HeaderExtension.OfText(HeaderExtension.BackingFormat, last),
                .. header.Extensions.Where(extension => extension.Type != HeaderExtension.BackingFormat),
            ],
        };
        using (FileStream file = File.OpenWrite(image.Path))
        {
            file.Write(header.ToCluster(Name));
        }

        Assert.Equal(last, image.Info().GetProperty("backing-filename-format").GetString());
        Assert.Equal(last, Read(image.Path).Header.BackingFormat);
    }

    [Theory]
    [InlineData(104)]
    [InlineData(112)]
    [InlineData(120)]
    public void A_header_keeps_its_length_and_the_backing_name_its_place(int length)
    {
        using QemuImage image = new("1M", "backing_file=/dev/null,backing_fmt=raw");
        byte[] cluster = Read(image.Path).Cluster;
        byte[] other = new byte[cluster.Length];
        cluster.AsSpan(0, 104).CopyTo(other);
        cluster.AsSpan(112, 1000).CopyTo(other.AsSpan(length));
        BinaryPrimitives.WriteInt32BigEndian(other.AsSpan(100), length);
        long name = BinaryPrimitives.ReadInt64BigEndian(other.AsSpan(8)) - 112 + length;
        "/dev/null"u8.CopyTo(other.AsSpan((int)name + 64));
        other.AsSpan((int)name, 9).Clear();
        BinaryPrimitives.WriteInt64BigEndian(other.AsSpan(8), name + 64);
        ImageHeader header = ImageHeader.Parse(other, Name);
        Assert.Equal("/dev/null", header.BackingFile);
        Assert.Equal(other, header.ToCluster(Name));
    }

    [Fact]
    public void Persistent_bitmaps_are_found()
    {
        using QemuImage image = new("1M");
        Shell.Run("qemu-img", "bitmap", "--add", image.Path, "one");
        Shell.Run("qemu-img", "bitmap", "--add", "-g", "512", image.Path, "two");
        ImageHeader header = Read(image.Path).Header;
        BitmapDirectory directory = BitmapDirectory.Of(header, Name)!;
        IReadOnlyList<PersistentBitmap> bitmaps = directory.Parse(
            File.ReadAllBytes(image.Path).AsSpan((int)directory.Offset, (int)directory.Size), header.Layout, Name);
        Assert.Equal([("one", 16), ("two", 9)], bitmaps.Select(bitmap => (bitmap.Name, bitmap.GranularityBits)));
        Assert.Equal(AutoclearFeatures.Bitmaps, header.Autoclear);
    }

    [Fact]
    public void Unknown_features_are_refused_by_the_name_the_image_gives_them()
    {
        using QemuImage image = new("1M");
        (ImageHeader header, _) = Read(image.Path);
        List<FeatureName> names = [new FeatureName(FeatureKind.Incompatible, 40, "teleportation"), .. FeatureName.Known];
        ImageHeader future = header with
        {
            Incompatible = (IncompatibleFeatures)((1UL << 40) | (1UL << 41)),
            Extensions = [FeatureName.ToExtension(names)],
        };
        UblkException error = Assert.Throws<UblkException>(() => ImageHeader.Parse(future.ToCluster(Name), Name));
        Assert.Equal(UblkError.NotSupported, error.Error);
        Assert.Contains("'teleportation' and number 41", error.Message);
    }

    [Fact]
    public void Unknown_extensions_fields_and_compatible_bits_are_kept()
    {
        using QemuImage image = new("1M");
        (ImageHeader header, _) = Read(image.Path);
        ImageHeader future = header with
        {
            Compatible = (CompatibleFeatures)(1UL << 33),
            LaterFields = [0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8],
            Extensions = [new HeaderExtension(0x12345678, [1, 2, 3]), .. header.Extensions],
            BackingFile = "base.raw",
        };
        byte[] cluster = future.ToCluster(Name);
        Assert.Equal(cluster, ImageHeader.Parse(cluster, Name).ToCluster(Name));
    }

    [Theory]
    [InlineData(0, 0x00000000)]
    [InlineData(4, 0x00000001)]
    [InlineData(4, 0x00000004)]
    [InlineData(20, 0x00000008)]
    [InlineData(20, 0x00000016)]
    [InlineData(24, 0x7FFFFFFF)]
    [InlineData(36, 0x00000000)]
    [InlineData(36, 0x7FFFFFFF)]
    [InlineData(44, 0x00000001)]
    [InlineData(48, 0x7FFF0000)]
    [InlineData(56, 0x00000081)]
    [InlineData(60, 0x00010001)]
    [InlineData(60, 0x00000001)]
    [InlineData(72, 0x00000001)]
    [InlineData(92, 0x00000002)]
    [InlineData(96, 0x00000007)]
    [InlineData(100, 0x00000064)]
    [InlineData(100, 0x00000069)]
    [InlineData(100, 0x00020000)]
    [InlineData(104, 0x01000000)]
    [InlineData(112, 0x11111111, 0x7FFFFFFF)]
    [InlineData(12, 0x00000200, 0x00000400)]
    [InlineData(12, 0x0000FFFF, 0x00000002)]
    public void A_field_that_cannot_be_is_one_clear_error(int field, params int[] values)
    {
        using QemuImage image = new("1M");
        byte[] cluster = Read(image.Path).Cluster;
        for (int index = 0; index < values.Length; index++)
        {
            BinaryPrimitives.WriteInt32BigEndian(cluster.AsSpan(field + (index * 4)), values[index]);
        }

        UblkException error = Assert.Throws<UblkException>(() => ImageHeader.Parse(cluster, Name));
        Assert.Contains(Name, error.Message);
        Assert.True(error.Error is UblkError.InvalidImage or UblkError.NotSupported);
    }

    [Theory]
    [InlineData(EncryptionMethod.Aes, "legacy AES")]
    [InlineData(EncryptionMethod.Luks, "LUKS")]
    [InlineData((EncryptionMethod)7, "method 7")]
    public void Encryption_is_refused_by_its_kind(object method, string kind)
    {
        ImageHeader header = new() { Version = 3, ClusterBits = 16, Size = 0, Encryption = (EncryptionMethod)method };
        UblkException error = Assert.Throws<UblkException>(() => HeaderRules.RefuseEncryption(header, Name));
        Assert.Equal(UblkError.NotSupported, error.Error);
        Assert.Contains(kind, error.Message);
    }

    [Fact]
    public void No_mutation_of_a_header_does_more_than_fail_clearly()
    {
        using QemuImage image = new("1M", "backing_file=/dev/null,backing_fmt=raw,cluster_size=4096");
        byte[] cluster = Read(image.Path).Cluster;
        Gen.Select(Gen.Int[0, 200], Gen.Byte).List[1, 6].Sample(changes =>
        {
            byte[] forged = [.. cluster];
            foreach ((int position, byte value) in changes)
            {
                forged[position] = value;
            }

            try
            {
                ImageHeader header = ImageHeader.Parse(forged, Name);
                BitmapDirectory.Of(header, Name)?.Parse(forged, header.Layout, Name);
            }
            catch (UblkException)
            {
            }
        }, iter: 2000);
    }

    internal static (ImageHeader Header, byte[] Cluster) Read(string path)
    {
        byte[] file = File.ReadAllBytes(path);
        byte[] cluster = file[..ImageHeader.PeekClusterSize(file, path)];
        return (ImageHeader.Parse(cluster, path), cluster);
    }
}

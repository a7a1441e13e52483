using System.Buffers.Binary;
using Ublk.Files;
using Ublk.Images;
using Ublk.Qcow2.AtRest;

namespace Ublk.Tests.Images;

/// <summary>Our check against qemu's, on sound images and on others.</summary>
public sealed class CheckImageTests : IDisposable
{
    private readonly ImageFolder _folder = new();

    public static TheoryData<string> QemuOptions =>
    [
        .. Enumerable.Range(9, 13).Select(bits => $"cluster_size={1 << bits}"),
        .. new[] { 1, 2, 4, 8, 32, 64 }.Select(bits => $"refcount_bits={bits}"),
        "compat=0.10", "extended_l2=on,cluster_size=16k", "compression_type=zstd", "lazy_refcounts=on",
    ];

    public void Dispose() => _folder.Dispose();

    [Theory]
    [MemberData(nameof(QemuOptions))]
    public void A_sound_image_is_found_sound(string options)
    {
        string image = Fill(options);
        QemuCheck expected = ImageFolder.QemuCheckOf(image);
        Assert.Equal((0, 0), (expected.Corruptions, expected.Leaks));
        RequireAgreement(image);
    }

    // Each bit of damage is done to a copy of its own. The counts must agree, too, but for damage that qemu counts in another way.
    [Theory]
    [InlineData("cluster_size=512")]
    [InlineData("cluster_size=4k")]
    [InlineData("cluster_size=64k,refcount_bits=1")]
    [InlineData("cluster_size=64k,refcount_bits=2")]
    [InlineData("cluster_size=64k,refcount_bits=64")]
    [InlineData("cluster_size=64k,compat=0.10")]
    [InlineData("cluster_size=64k,extended_l2=on")]
    [InlineData("cluster_size=2M")]
    public void A_damaged_image_is_found_as_damaged_as_by_qemu(string options)
    {
        string image = Fill(options);
        byte[] sound = File.ReadAllBytes(image);
        Random random = new(Seed);
        List<long> metadata = MetadataOf(sound);
        for (int round = 0; round < Rounds; round++)
        {
            string copy = _folder["copy.qcow2"];
            byte[] damaged = [.. sound];
            long cluster = metadata[random.Next(metadata.Count)];
            int clusterSize = 1 << BinaryPrimitives.ReadInt32BigEndian(sound.AsSpan(20));
            int word = random.Next(int.Min(clusterSize / 8, 300));
            int position = (int)cluster + (word * 8);
            damaged[position + random.Next(8)] ^= (byte)(1 << random.Next(8));
            File.WriteAllBytes(copy, damaged);
            RequireSameVerdict(copy, $"{options}, seed {Seed}, round {round}, byte {position}");
        }
    }

    [Theory]
    [InlineData("cluster_size=512")]
    [InlineData("cluster_size=64k")]
    [InlineData("cluster_size=64k,refcount_bits=1")]
    [InlineData("cluster_size=64k,compat=0.10")]
    [InlineData("cluster_size=64k,extended_l2=on")]
    public void What_is_wrong_with_the_counts_is_repaired(string options)
    {
        string image = Fill(options);
        string before = _folder["before.raw"];
        Shell.Run("qemu-img", "convert", "-O", "raw", image, before);
        byte[] sound = File.ReadAllBytes(image);
        int clusterSize = 1 << BinaryPrimitives.ReadInt32BigEndian(sound.AsSpan(20));
        long table = BinaryPrimitives.ReadInt64BigEndian(sound.AsSpan(48));
        long block = BinaryPrimitives.ReadInt64BigEndian(sound.AsSpan((int)table));
        Action<byte[]>[] damages =
        [
            bytes => bytes.AsSpan((int)block, clusterSize).Clear(),
            bytes => bytes.AsSpan((int)block, clusterSize / 2).Fill(0x55),
            bytes => bytes.AsSpan((int)table, 8).Clear(),
            bytes => BinaryPrimitives.WriteInt64BigEndian(bytes.AsSpan((int)table), 1L << 40),
            bytes => BinaryPrimitives.WriteInt64BigEndian(bytes.AsSpan((int)table), 0),
            bytes => BinaryPrimitives.WriteInt64BigEndian(bytes.AsSpan((int)table), BinaryPrimitives.ReadInt64BigEndian(bytes.AsSpan(40))),
            bytes => BinaryPrimitives.WriteInt64BigEndian(bytes.AsSpan(48), BinaryPrimitives.ReadInt64BigEndian(bytes.AsSpan(40))),
        ];
        foreach (Action<byte[]> damage in damages)
        {
            byte[] damaged = [.. sound];
            damage(damaged);
            File.WriteAllBytes(image, damaged);
            Assert.NotEqual(ImageCondition.Clean, ImageFolder.Check(image).Condition);
            ImageCheckResult repaired = ImageFolder.Check(image, repair: true);
            Assert.True(repaired.CorruptionsFixed + repaired.LeaksFixed > 0);
            Assert.Equal(ImageCondition.Clean, repaired.Condition);
            ImageFolder.RequireClean(image);
            ImageFolder.RequireSame(image, "qcow2", before, "raw");
        }
    }

    [Fact]
    public void An_L1_entry_without_a_table_is_an_error_and_what_it_lost_is_kept()
    {
        string image = Fill("cluster_size=64k");
        byte[] bytes = File.ReadAllBytes(image);
        int l1 = (int)BinaryPrimitives.ReadInt64BigEndian(bytes.AsSpan(40));
        byte[] lost = [.. bytes.AsSpan(l1, 8)];
        BinaryPrimitives.WriteUInt64BigEndian(bytes.AsSpan(l1), 1UL << 63);
        File.WriteAllBytes(image, bytes);
        Assert.True(ImageFolder.QemuCheckOf(image).Corruptions > 0);
        Assert.Equal(ImageCondition.Corrupt, ImageFolder.Check(image).Condition);
        Assert.Equal(ImageCondition.Corrupt, ImageFolder.Check(image, repair: true).Condition);

        // The entry brings everything back, as nothing was freed.
        bytes = File.ReadAllBytes(image);
        lost.CopyTo(bytes, l1);
        File.WriteAllBytes(image, bytes);
        ImageFolder.RequireClean(image);
    }

    // The refcount table's length or place, as one changed byte leaves it: over L1, L2 and data, or beyond the end of the file.
    [Theory]
    [InlineData(59, 0x0a, false)]
    [InlineData(53, 0x05, false)]
    [InlineData(53, 0x0f, false)]
    [InlineData(50, 0x0a, false)]
    [InlineData(49, 0x80, false)]
    [InlineData(59, 0x0a, true)]
    [InlineData(59, 0x00, false)]
    [InlineData(59, 0x00, true)]
    public void A_refcount_table_in_the_wrong_place_is_made_anew(int place, byte value, bool isDirty)
    {
        string image = _folder.QemuCreate("a.qcow2", "8M");
        ImageFolder.Play(image, "write -P 7 0 300k");
        string before = _folder["before.raw"];
        Shell.Run("qemu-img", "convert", "-O", "raw", image, before);
        byte[] bytes = File.ReadAllBytes(image);
        bytes[place] = value;
        bytes[79] |= (byte)(isDirty ? 1 : 0);
        File.WriteAllBytes(image, bytes);
        Assert.Equal(ImageCondition.Corrupt, ImageFolder.Check(image).Condition);
        if (isDirty)
        {
            Ublk.Tests.Qcow2.Qcow2Disk.Open(image).Dispose();
        }
        else
        {
            Assert.Equal(ImageCondition.Clean, ImageFolder.Check(image, repair: true).Condition);
        }

        ImageFolder.RequireClean(image);
        ImageFolder.RequireSame(image, "qcow2", before, "raw");
        Assert.True(new FileInfo(image).Length < bytes.Length + (1 << 20));
    }

    [Fact]
    public void Without_a_refcount_table_an_image_is_read_and_not_written()
    {
        string image = _folder.QemuCreate("a.qcow2", "8M");
        ImageFolder.Play(image, "write -P 7 0 300k");
        string before = _folder["before.qcow2"];
        File.Copy(image, before);
        byte[] bytes = File.ReadAllBytes(image);
        bytes.AsSpan(48, 12).Clear();
        File.WriteAllBytes(image, bytes);
        string copy = _folder["copy.raw"];
        NewImageOptions raw = new() { Format = ImageFormat.Raw };
        new ConvertImage { Path = image, Destination = copy, Options = raw }.Run(ImageProgress.None);
        ImageFolder.RequireSame(before, "qcow2", copy, "raw");
        Assert.Contains("Repair-UblkImage", Assert.Throws<UblkException>(() => Ublk.Tests.Qcow2.Qcow2Disk.Open(image)).Message);
        Assert.Contains("Repair-UblkImage",
            Assert.Throws<UblkException>(() => new OptimizeImage { Path = image }.Run(ImageProgress.None)).Message);
        Assert.Equal(bytes, File.ReadAllBytes(image));
        Assert.Equal(ImageCondition.Clean, ImageFolder.Check(image, repair: true).Condition);
        ImageFolder.RequireClean(image);
        ImageFolder.RequireSame(before, "qcow2", image, "qcow2");
    }

    // Guest data where the L2 table is: to change flags in the one would change the other.
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_table_that_something_else_claims_is_not_written(bool isDirty)
    {
        string image = _folder.QemuCreate("a.qcow2", "8M");
        ImageFolder.Play(image, "write -P 7 0 300k");
        byte[] bytes = File.ReadAllBytes(image);
        long l1 = BinaryPrimitives.ReadInt64BigEndian(bytes.AsSpan(40));
        ulong l2 = BinaryPrimitives.ReadUInt64BigEndian(bytes.AsSpan((int)l1));
        BinaryPrimitives.WriteUInt64BigEndian(bytes.AsSpan((int)(l2 & int.MaxValue) + 8), l2);
        bytes[79] |= (byte)(isDirty ? 1 : 0);
        File.WriteAllBytes(image, bytes);
        UblkException error = Assert.Throws<UblkException>(() =>
        {
            if (isDirty)
            {
                Ublk.Tests.Qcow2.Qcow2Disk.Open(image).Dispose();
            }
            else
            {
                ImageFolder.Check(image, repair: true);
            }
        });
        Assert.Equal(UblkError.InvalidImage, error.Error);
        Assert.Contains("-ReadOnly", error.Message);
        Assert.Equal(bytes, File.ReadAllBytes(image));
    }

    [Theory]
    [InlineData(0x8000_0000_7000_0000)]
    [InlineData(0x8000_0000_0005_0200)]
    public void An_entry_that_points_nowhere_is_left_and_nobody_is_sent_to_repair_it(ulong entry)
    {
        string image = _folder.QemuCreate("a.qcow2", "8M");
        ImageFolder.Play(image, "write -P 7 0 300k");
        byte[] bytes = File.ReadAllBytes(image);
        long l1 = BinaryPrimitives.ReadInt64BigEndian(bytes.AsSpan(40));
        long l2 = BinaryPrimitives.ReadInt64BigEndian(bytes.AsSpan((int)l1)) & int.MaxValue;
        BinaryPrimitives.WriteUInt64BigEndian(bytes.AsSpan((int)l2 + 8), entry);
        File.WriteAllBytes(image, bytes);
        Assert.Equal(ImageCondition.Corrupt, ImageFolder.Check(image, repair: true).Condition);
        Assert.True(ImageFolder.QemuCheckOf(image).Corruptions > 0);
        string message = Assert.Throws<UblkException>(() => new OptimizeImage { Path = image }.Run(ImageProgress.None)).Message;
        Assert.DoesNotContain("Repair-UblkImage", message);
        Assert.Contains("-ReadOnly", message);
    }

    [Fact]
    public void A_snapshot_and_a_bitmap_are_no_leaks()
    {
        string image = Fill("cluster_size=64k");
        Shell.Run("qemu-img", "snapshot", "-c", "one", image);
        ImageFolder.Play(image, "write -P 3 0 1M");
        Shell.Run("qemu-img", "bitmap", "--add", image, "b0");
        RequireAgreement(image);
    }

    [Fact]
    public void An_image_in_use_is_left_alone()
    {
        string image = _folder.QemuCreate("a.qcow2", "1M");
        using DiskFile held = DiskFile.OpenForWriting(image);
        Assert.Equal(UblkError.BackingFileInUse, Assert.Throws<UblkException>(() => ImageFolder.Check(image)).Error);
        Assert.Equal(UblkError.BackingFileInUse, Assert.Throws<UblkException>(() => ImageFolder.Check(image, repair: true)).Error);
    }

    [Fact]
    public void Readers_bear_each_other()
    {
        string image = _folder.QemuCreate("a.qcow2", "1M");
        using DiskFile held = DiskFile.OpenForReading(image);
        ImageFolder.RequireClean(image);
        Assert.Equal(UblkError.BackingFileInUse, Assert.Throws<UblkException>(() => ImageFolder.Check(image, repair: true)).Error);
    }

    private static int Seed => int.TryParse(Environment.GetEnvironmentVariable("UBLK_SEED"), out int seed) ? seed : 4711;

    private static int Rounds => int.TryParse(Environment.GetEnvironmentVariable("UBLK_ROUNDS"), out int rounds) ? rounds : 12;

    private string Fill(string options)
    {
        // As small as all kinds of clusters, and more than one of each table, allow.
        string image = _folder.QemuCreate("a.qcow2", "8M", options);
        ImageFolder.Play(image, "write -P 1 0 1M", "write -P 2 3M 300k", "write -z 64k 128k", "discard 300k 64k", "write -P 3 7M 1M");
        List<string> more = [];
        if (!options.Contains("refcount_bits=1,", StringComparison.Ordinal)
            && !options.EndsWith("refcount_bits=1", StringComparison.Ordinal))
        {
            Shell.Run("qemu-img", "snapshot", "-c", "one", image);
            more.Add("write -P 4 512k 64k");
        }

        if (!options.Contains("2M", StringComparison.Ordinal))
        {
            more.Add("write -c -P 5 4M 2M");
        }

        if (more.Count > 0)
        {
            ImageFolder.Play(image, [.. more]);
        }

        return image;
    }

    // L1, the L2 tables, the refcount table and its blocks.
    private static List<long> MetadataOf(byte[] image)
    {
        const long Mask = 0x00FF_FFFF_FFFF_FE00;
        long l1 = BinaryPrimitives.ReadInt64BigEndian(image.AsSpan(40));
        int entries = BinaryPrimitives.ReadInt32BigEndian(image.AsSpan(36));
        long table = BinaryPrimitives.ReadInt64BigEndian(image.AsSpan(48));
        List<long> places = [l1, table];
        places.AddRange(Enumerable.Range(0, int.Min(entries, 16))
            .Select(i => BinaryPrimitives.ReadInt64BigEndian(image.AsSpan((int)l1 + (i * 8))) & Mask));
        places.AddRange(Enumerable.Range(0, 4).Select(i => BinaryPrimitives.ReadInt64BigEndian(image.AsSpan((int)table + (i * 8)))));
        return [.. places.Where(place => place != 0)];
    }

    private static void RequireAgreement(string image)
    {
        QemuCheck expected = ImageFolder.QemuCheckOf(image);
        ImageCheckResult ours = ImageFolder.Check(image);
        Assert.Equal(expected, new QemuCheck(
            ours.Corruptions, ours.Leaks, ours.AllocatedClusters, ours.CompressedClusters, ours.FragmentedClusters, ours.EndOffset));
    }

    private static void RequireSameVerdict(string image, string what)
    {
        QemuCheck expected = ImageFolder.QemuCheckOf(image);
        ImageCheckResult ours = ImageFolder.Check(image);
        Assert.True(
            (expected.Corruptions > 0, expected.Corruptions > 0 || expected.Leaks == ours.Leaks) == (ours.Corruptions > 0, true),
            $"{what}: qemu {expected}, ours {ours.Corruptions} and {ours.Leaks}: {string.Join("\n", ours.Findings)}");
    }
}

using System.Buffers.Binary;
using CsCheck;
using Ublk.Qcow2.Format;

namespace Ublk.Tests.Qcow2.Format;

/// <summary>L1, L2 and refcount entries: against qemu's images, and against themselves.</summary>
public class TableEntryTests
{
    [Theory]
    [InlineData("cluster_size=64k")]
    [InlineData("cluster_size=64k,compression_type=zstd")]
    [InlineData("cluster_size=512")]
    [InlineData("cluster_size=2M")]
    public void Entries_say_what_qemu_made_them_say(string options)
    {
        using QemuImage image = new("64M", options);
        int size = ImageHeaderTests.Read(image.Path).Header.Layout.ClusterSize;
        image.Play($"write -P 1 0 {size}", $"write -z {size} {size}", $"write -P 2 {2 * size} {size}", $"write -z {2 * size} {size}",
            $"write -c -P 3 {3 * size} {size}");
        ExtentKind[] kinds = [.. Entries(image.Path, 5).Select(entry => entry.KindIn(ImageHeaderTests.Read(image.Path).Header.Layout))];
        Assert.Equal([ExtentKind.Data, ExtentKind.Zero, ExtentKind.ZeroAllocated, ExtentKind.Compressed, ExtentKind.Unallocated],
            kinds);
    }

    [Fact]
    public void Subclusters_say_what_qemu_made_them_say()
    {
        using QemuImage image = new("64M", "extended_l2=on");
        image.Play("write 2k 4k", "write -z 10k 2k", "write -z 64k 64k");
        L2Entry[] entries = [.. Entries(image.Path, 2)];
        Assert.Equal(0b110u, entries[0].AllocatedSubclusters);
        Assert.Equal(0b100000u, entries[0].ZeroSubclusters);
        Assert.Equal(ExtentKind.Data, entries[0].KindIn(ImageHeaderTests.Read(image.Path).Header.Layout));
        Assert.Equal(ExtentKind.Zero, entries[1].KindIn(ImageHeaderTests.Read(image.Path).Header.Layout));
    }

    [Fact]
    public void Compressed_descriptors_are_read_as_they_were_made() =>
        Gen.Select(Gen.Int[ClusterLayout.MinClusterBits, ClusterLayout.MaxClusterBits], Gen.Long[0, (1L << 47) - 1], Gen.Int[1, 1 << 21])
            .Sample((bits, offset, wanted) =>
            {
                ClusterLayout layout = new(bits, 4, false);
                int length = int.Min(wanted, layout.ClusterSize);
                L2Entry entry = L2Entry.CompressedAt(layout, offset, length);
                Assert.Equal(ExtentKind.Compressed, entry.KindIn(layout));
                Assert.Null(entry.FindFault(layout, 3));
                Assert.Equal(offset, entry.CompressedOffset(layout));
                Assert.InRange(entry.CompressedLength(layout), length, length + 511);
                Assert.Equal(0, (offset + entry.CompressedLength(layout)) % 512);
            });

    [Fact]
    public void An_entry_is_plain_data_if_the_rules_for_each_entry_say_so() =>
        Gen.Select(
            Gen.Int[ClusterLayout.MinClusterBits, ClusterLayout.MaxClusterBits], Gen.Int[2, 3], Gen.ULong, Gen.Int[0, 56], Gen.Int[0, 7])
            .Sample((bits, version, descriptor, cleared, flags) =>
            {
                ClusterLayout layout = new(bits, 4, false);
                L2Entry entry = new((descriptor << cleared & (ulong)L1Entry.MaxOffset) | ((ulong)flags >> 1 << 62) | ((ulong)flags & 1));
                bool expected = entry.FindFault(layout, version) is null && entry.KindIn(layout) == ExtentKind.Data && entry.IsCopied;
                Assert.Equal(expected, entry.IsPlainData(layout));
            });

    [Fact]
    public void Faults_are_named()
    {
        ClusterLayout plain = new(16, 4, false);
        ClusterLayout extended = new(16, 4, true);
        Assert.Null(L2Entry.At(0x50000).FindFault(plain, 2));
        Assert.Contains("multiple", L2Entry.At(0x50200).FindFault(plain, 3));
        Assert.Contains("version 2", L2Entry.ZeroPlain(false).FindFault(plain, 2));
        Assert.Contains("both", L2Entry.At(0x50000, 0x1_0000_0001).FindFault(extended, 3));
        Assert.Contains("no host offset", new L2Entry(0, 1).FindFault(extended, 3));
        Assert.True(new L1Entry(1).HasReservedBits);
        Assert.False(L1Entry.At(0x50000).HasReservedBits);
        Assert.True(new RefcountTableEntry(0x10001).HasReservedBits);
    }

    [Fact]
    public void Reference_counts_of_every_width_stay_where_they_are_put() =>
        Gen.Select(Gen.Int[0, 6], Gen.Select(Gen.Int[0, 63], Gen.ULong).List[1, 40]).Sample((order, writes) =>
        {
            ulong max = new ClusterLayout(16, order, false).MaxRefcount;
            byte[] block = new byte[512];
            ulong[] model = new ulong[64];
            foreach ((int index, ulong count) in writes)
            {
                RefcountBlock.Set(block, order, index, count & max);
                model[index] = count & max;
            }

            Assert.Equal(model, Enumerable.Range(0, 64).Select(index => RefcountBlock.Get(block, order, index)));
        });

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(4)]
    [InlineData(8)]
    [InlineData(16)]
    [InlineData(32)]
    [InlineData(64)]
    public void Reference_counts_are_where_qemu_puts_them(int bits)
    {
        using QemuImage image = new("64M", $"refcount_bits={bits}");
        image.Play("write 0 1M");
        if (bits > 1)
        {
            Shell.Run("qemu-img", "snapshot", "-c", "one", image.Path);
        }

        ImageHeader header = ImageHeaderTests.Read(image.Path).Header;
        byte[] file = File.ReadAllBytes(image.Path);
        long block = new RefcountTableEntry(BinaryPrimitives.ReadUInt64BigEndian(file.AsSpan((int)header.RefcountTableOffset))).Offset;
        int data = (int)(Entries(image.Path, 1).Single().Offset >> header.ClusterBits);
        int end = file.Length >> header.ClusterBits;
        Assert.Equal(1ul, RefcountBlock.Get(file.AsSpan((int)block, 65536), header.RefcountOrder, 0));
        Assert.Equal(bits > 1 ? 2ul : 1ul, RefcountBlock.Get(file.AsSpan((int)block, 65536), header.RefcountOrder, data));
        Assert.Equal(0ul, RefcountBlock.Get(file.AsSpan((int)block, 65536), header.RefcountOrder, end + 1));
    }

    private static IEnumerable<L2Entry> Entries(string path, int count)
    {
        byte[] file = File.ReadAllBytes(path);
        ImageHeader header = ImageHeaderTests.Read(path).Header;
        L1Entry l1 = new(BinaryPrimitives.ReadUInt64BigEndian(file.AsSpan((int)header.L1Offset)));
        Assert.True(l1.Offset != 0);
        int size = header.Layout.HasExtendedL2 ? 16 : 8;
        for (int index = 0; index < count; index++)
        {
            ReadOnlySpan<byte> entry = file.AsSpan((int)l1.Offset + (index * size));
            yield return new L2Entry(
                BinaryPrimitives.ReadUInt64BigEndian(entry),
                header.Layout.HasExtendedL2 ? BinaryPrimitives.ReadUInt64BigEndian(entry[8..]) : 0);
        }
    }
}

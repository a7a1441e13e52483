using System.Text.Json;
using Ublk.Files;
using Ublk.Interop;
using Ublk.Io;
using Ublk.Qcow2.Format;
using Ublk.Qcow2.State;
using Ublk.Targets;
using Ublk.Targets.Qcow2;
using Ublk.Tests.Exports;
using Ublk.Tests.Qcow2.Format;
using Ublk.Tests.Serving;

namespace Ublk.Tests.Qcow2;

/// <summary>Enabled persistent bitmaps have what changes while an image is written; qemu agrees.</summary>
public class PersistentBitmapTests
{
    [Theory]
    [InlineData("4M", "cluster_size=512", 512)]
    [InlineData("4M", "cluster_size=64k", 65536)]
    [InlineData("4M", "cluster_size=16k,extended_l2=on", 4096)]
    [InlineData("4M", "cluster_size=4k,refcount_bits=1", 1024)]
    public void What_changes_is_what_qemu_would_enter(string size, string options, int granularity)
    {
        using QemuImage image = new(size, options);
        image.Play("write -P 1 0 2M");
        Add(image, "one", granularity);
        File.Copy(image.Path, image.PathOf("theirs.qcow2"));
        const int Unit = 512;
        Random random = new(1);
        List<string> commands = [];
        using (Qcow2Target target = Qcow2Disk.Open(image.Path, ("DirectIO", "false")))
        {
            QueueHarness.Run(target, harness =>
            {
                for (int number = 0; number < 60; number++)
                {
                    long offset = random.Next((int)target.Geometry.Size / Unit) * Unit;
                    int length = Unit * random.Next(1, (int)long.Min(64, (target.Geometry.Size - offset) / Unit) + 1);
                    (IoOperation operation, string command) = (number % 3) switch
                    {
                        0 => (IoOperation.Write, "write -P 2"),
                        1 => (IoOperation.Discard, "discard"),
                        _ => (IoOperation.WriteZeroes, "write -z"),
                    };
                    commands.AddRange("-c", $"{command} {offset} {length}");
                    Assert.InRange(harness.Answer(QueueHarness.Describe(operation, offset, length), new byte[length]), 0, length);
                }
            });
        }

        Shell.Run("qemu-io", ["-d", "unmap", "-f", "qcow2", .. commands, image.PathOf("theirs.qcow2")]);
        bool[] expected = StoredBitmap.Read(image.PathOf("theirs.qcow2"), "one", Unit)!;
        Assert.Equal(expected, StoredBitmap.ReadWithQemu(image, "one", Unit));
        Assert.Equal(expected, StoredBitmap.Read(image.Path, "one", Unit));
        Assert.Contains(true, expected);
        Assert.Contains(false, expected);
        Assert.Equal(["auto"], FlagsOf(image, "one"));
        image.Check();
    }

    [Fact]
    public void Only_a_write_marks_bitmaps_as_in_use()
    {
        using QemuImage image = new("1M");
        Add(image, "one");
        byte[] before = File.ReadAllBytes(image.Path);
        using (Qcow2Target target = Qcow2Disk.Open(image.Path))
        {
            Qcow2Disk.Read(target);
            Assert.Equal(before, File.ReadAllBytes(image.Path));
            Qcow2Disk.Write(target, 0, 4096, 1);
            Assert.False(Assert.Single(Bitmaps(image)).IsConsistent);
            Assert.Equal(AutoclearFeatures.Bitmaps, ImageHeaderTests.Read(image.Path).Header.Autoclear);
        }

        Assert.True(Assert.Single(Bitmaps(image)).IsConsistent);
        image.Check();
    }

    [Fact]
    public void A_disabled_bitmap_stays_as_it_is()
    {
        using QemuImage image = new("1M");
        Add(image, "one");
        image.Play("write -P 1 0 64k");
        Shell.Run("qemu-img", "bitmap", "--disable", image.Path, "one");
        Add(image, "two");
        using (Qcow2Target target = Qcow2Disk.Open(image.Path))
        {
            Qcow2Disk.Write(target, 1 << 19, 4096, 1);
            Assert.Equal([true, false], Bitmaps(image).Select(bitmap => bitmap.IsConsistent));
        }

        Assert.Equal([0], DirtyOf(image, "one"));
        Assert.Equal([8], DirtyOf(image, "two"));
        Assert.Empty(FlagsOf(image, "one"));
        Assert.Equal(["auto"], FlagsOf(image, "two"));
        image.Check();
    }

    [Fact]
    public void A_bitmap_is_of_no_use_once_its_worker_has_died()
    {
        using QemuImage image = new("1M");
        Add(image, "one");
        Qcow2Target dying = Qcow2Disk.Open(image.Path);
        Qcow2Disk.Write(dying, 0, 4096, 1);
        Qcow2Disk.Kill(dying);
        image.CheckButForLeaks();
        TargetOptions options = new(new Dictionary<string, string> { ["Path"] = image.Path });
        using (Qcow2Target target = Qcow2Target.Open(options))
        {
            Assert.Contains("'one'", Assert.Single(options.Warnings), StringComparison.Ordinal);
            Assert.Null(target.TakeChanges("one"));
            Qcow2Disk.Write(target, 1 << 19, 4096, 1);
        }

        Assert.Equal(["auto", "in-use"], FlagsOf(image, "one"));
        using TestExport export = new(image.Path);
        Assert.Contains("'one' is not offered", Assert.Single(export.Warnings), StringComparison.Ordinal);
    }

    [Fact]
    public void Changes_are_taken_out_and_given_back()
    {
        using QemuImage image = new("1M");
        Add(image, "one");
        image.Play("write -P 1 0 128k", "write -P 1 512k 1k");
        using (Qcow2Target target = Qcow2Disk.Open(image.Path))
        {
            DirtySet first = target.TakeChanges("one")!;
            Assert.Equal([(0, 128 << 10), (512 << 10, 64 << 10)], first.Ranges);
            Qcow2Disk.Write(target, 960 << 10, 4096, 1);
            DirtySet second = target.TakeChanges("one")!;
            Assert.Equal([(960 << 10, 64 << 10)], second.Ranges);
            Assert.Empty(target.TakeChanges("one")!.Ranges);
            Assert.Null(target.TakeChanges("two"));
            Qcow2Disk.Write(target, 256 << 10, 4096, 1);
            first.Return();
        }

        Assert.Equal([0, 1, 4, 8], DirtyOf(image, "one"));
        image.Check();
    }

    [Fact]
    public void What_is_taken_out_without_a_write_is_gone_from_the_image()
    {
        using QemuImage image = new("1M");
        Add(image, "one");
        image.Play("write -P 1 0 1M");
        using (Qcow2Target target = Qcow2Disk.Open(image.Path))
        {
            Assert.Equal([(0, 1 << 20)], target.TakeChanges("one")!.Ranges);
        }

        Assert.Empty(DirtyOf(image, "one"));
        image.Check();
    }

    // A cluster of 512 bytes has the bits of 2 MiB; those that are all set, or all clear, need none.
    [Fact]
    public void Bits_that_are_all_set_take_no_cluster()
    {
        using QemuImage image = new("6M", "cluster_size=512");
        Add(image, "one", 512);
        using (Qcow2Target target = Qcow2Disk.Open(image.Path))
        {
            Qcow2Disk.Write(target, 0, 4096, 1);
            Qcow2Disk.Do(target, IoOperation.WriteZeroes, 4 << 20, 2 << 20);
        }

        PersistentBitmap bitmap = Assert.Single(Bitmaps(image));
        using (DiskFile file = DiskFile.Open(image.Path))
        {
            ulong[] table = new ImageTables(file, ImageTables.ReadHeader(file)).ReadBitmapTable(bitmap);
            Assert.True(table[0] > 511);
            Assert.Equal([0, ImageTables.AllOnes], table[1..]);
        }

        bool[] expected = [.. Enumerable.Range(0, 6 << 11).Select(sector => sector is < 8 or >= 4 << 11)];
        Assert.Equal(expected, StoredBitmap.ReadWithQemu(image, "one", 512));
        using (Qcow2Target target = Qcow2Disk.Open(image.Path))
        {
            Qcow2Disk.Write(target, 2 << 20, 4096, 1);
        }

        Array.Fill(expected, true, 2 << 11, 8);
        Assert.Equal(expected, StoredBitmap.ReadWithQemu(image, "one", 512));
        image.Check();
    }

    [Theory]
    [InlineData(0x200)]
    [InlineData(0x7FFF_0000_0000)]
    public void A_damaged_bitmap_ends_alone(long entry)
    {
        using QemuImage image = new("1M");
        Add(image, "one");
        Add(image, "two");
        using (FileStream file = File.OpenWrite(image.Path))
        {
            file.Position = Bitmaps(image)[0].TableOffset;
            file.Write(BitConverter.GetBytes(System.Buffers.Binary.BinaryPrimitives.ReverseEndianness(entry)));
        }

        TargetOptions options = new(new Dictionary<string, string> { ["Path"] = image.Path });
        using (Qcow2Target target = Qcow2Target.Open(options))
        {
            Assert.Contains("'one'", Assert.Single(options.Warnings), StringComparison.Ordinal);
            Qcow2Disk.Write(target, 0, 4096, 1);
        }

        Assert.Equal([false, true], Bitmaps(image).Select(bitmap => bitmap.IsConsistent));
        Assert.Equal([0], DirtyOf(image, "two"));
    }

    [Fact]
    public void What_a_journal_brings_back_is_not_in_a_bitmap_that_is_trusted()
    {
        using QemuImage image = new("1M");
        Add(image, "one");
        string journal = image.PathOf("journal");
        Qcow2Target dying = Open(mustExist: false);
        Qcow2Disk.Write(dying, 0, 4096, 1);
        Qcow2Disk.Kill(dying);
        using (Qcow2Target successor = Open(mustExist: true))
        {
            Assert.Equal(1, Qcow2Disk.Read(successor)[0]);
        }

        Assert.False(Assert.Single(Bitmaps(image)).IsConsistent);
        image.CheckButForLeaks();

        Qcow2Target Open(bool mustExist) => Qcow2Target.Open(
            new TargetOptions(new Dictionary<string, string> { ["Path"] = image.Path }) { StatePath = journal, MustHaveState = mustExist });
    }

    private static void Add(QemuImage image, string name, int granularity = 65536) =>
        Shell.Run("qemu-img", "bitmap", "--add", "-g", granularity.ToString(), image.Path, name);

    private static IReadOnlyList<PersistentBitmap> Bitmaps(QemuImage image)
    {
        using DiskFile file = DiskFile.Open(image.Path);
        return new ImageTables(file, ImageTables.ReadHeader(file)).ReadBitmaps();
    }

    // The numbers of the ranges of 64 KiB that have changed.
    private static IEnumerable<int> DirtyOf(QemuImage image, string name) => StoredBitmap.Read(image.Path, name, 64 << 10)!
        .Select((isDirty, number) => (isDirty, number)).Where(range => range.isDirty).Select(range => range.number);

    private static IEnumerable<string?> FlagsOf(QemuImage image, string name) => image.Info()
        .GetProperty("format-specific").GetProperty("data").GetProperty("bitmaps").EnumerateArray()
        .Single(bitmap => bitmap.GetProperty("name").GetString() == name)
        .GetProperty("flags").EnumerateArray().Select(flag => flag.GetString()).Order();
}

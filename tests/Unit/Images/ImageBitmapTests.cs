using Ublk.Images;
using Ublk.Qcow2.Format;
using Ublk.Targets.Qcow2;
using Ublk.Tests.Qcow2;
using ImageProgress = Ublk.Qcow2.AtRest.ImageProgress;

namespace Ublk.Tests.Images;

/// <summary>Persistent bitmaps are added, cleared, removed and resized; qemu agrees.</summary>
public class ImageBitmapTests
{
    [Theory]
    [InlineData("cluster_size=512")]
    [InlineData("cluster_size=64k")]
    [InlineData("cluster_size=4k,extended_l2=off,refcount_bits=64")]
    public void Qemu_uses_those_that_are_added(string options)
    {
        using QemuImage image = new("4M", options);
        Add(image, "one");
        Add(image, "two", 512);
        image.Check();
        image.Play("write -P 1 0 1k");
        Assert.Equal(
            [new UblkImageBitmap { Name = "one", Granularity = 65536, Enabled = true, InUse = false, Path = image.Path },
                new UblkImageBitmap { Name = "two", Granularity = 512, Enabled = true, InUse = false, Path = image.Path }],
            ImageInspector.Bitmaps(image.Path));
        Assert.Equal(128, StoredBitmap.ReadWithQemu(image, "one", 512).Count(isSet => isSet));
        Assert.Equal(2, StoredBitmap.ReadWithQemu(image, "two", 512).Count(isSet => isSet));
        Shell.Run("qemu-img", "bitmap", "--add", image.Path, "three");
        Shell.Run("qemu-img", "bitmap", "--remove", image.Path, "one");
        image.Check();
        Assert.Equal(["two", "three"], ImageInspector.Bitmaps(image.Path).Select(bitmap => bitmap.Name));
        Assert.Empty(ImageFolder.WarningsOf(image.Path));
    }

    [Fact]
    public void An_image_with_a_backing_file_keeps_it()
    {
        using QemuImage image = new("1M");
        image.Play("write -P 7 0 1M");
        string overlay = image.PathOf("overlay.qcow2");
        Shell.Run("qemu-img", "create", "-q", "-f", "qcow2", "-b", image.Path, "-F", "qcow2", overlay);
        new CreateBitmap { Path = overlay, Name = new string('b', PersistentBitmap.MaxNameLength) }.Run(ImageProgress.None);
        Shell.Run("qemu-img", "compare", image.Path, overlay);
        ImageFolder.RequireClean(overlay);
        Assert.Equal(image.Path, ImageInspector.Inspect(overlay, null).BackingPath);
        new RemoveBitmap { Path = overlay, Bitmap = new string('b', PersistentBitmap.MaxNameLength) }.Run(ImageProgress.None);
        Shell.Run("qemu-img", "compare", image.Path, overlay);
        ImageFolder.RequireClean(overlay);
        Assert.Empty(ImageFolder.WarningsOf(overlay));
        new CreateBitmap { Path = overlay, Name = "again" }.Run(ImageProgress.None);
        Assert.Equal("again", Assert.Single(ImageInspector.Bitmaps(overlay)).Name);
        Shell.Run("qemu-img", "compare", image.Path, overlay);
        ImageFolder.RequireClean(overlay);
    }

    [Fact]
    public void A_cleared_bitmap_begins_anew()
    {
        using QemuImage image = new("1M");
        Add(image, "one");
        Add(image, "two");
        image.Play("write -P 1 0 1M");
        Qcow2Target dying = Qcow2Disk.Open(image.Path);
        Qcow2Disk.Write(dying, 0, 4096, 1);
        Qcow2Disk.Kill(dying);
        Assert.Equal([true, true], ImageInspector.Bitmaps(image.Path).Select(bitmap => bitmap.InUse));
        new ClearBitmap { Path = image.Path, Bitmap = "one" }.Run(ImageProgress.None);
        Assert.Equal([false, true], ImageInspector.Bitmaps(image.Path).Select(bitmap => bitmap.InUse));
        using (Qcow2Target target = Qcow2Disk.Open(image.Path))
        {
            Qcow2Disk.Write(target, 512 << 10, 4096, 1);
        }

        Assert.Equal([8], DirtyOf(image, "one"));
        new RemoveBitmap { Path = image.Path, Bitmap = "two" }.Run(ImageProgress.None);
        Assert.Equal([8], DirtyOf(image, "one"));
        image.Check();
    }

    [Theory]
    [InlineData("cluster_size=512", 512)]
    [InlineData("cluster_size=64k", 65536)]
    public void The_bitmaps_of_a_disk_that_is_resized_follow_it(string options, int granularity)
    {
        using QemuImage image = new("3M", options);
        Add(image, "one", granularity);
        Add(image, "two", 1 << 20);
        image.Play("write -P 1 0 64k", "write -P 1 2M 64k");
        new ResizeImage { Path = image.Path, Size = (4 << 20) + 512 }.Run(ImageProgress.None);
        Assert.Equal(Sectors((0, 64), (2 << 10, 64), (3 << 10, 1 << 10)), Read("one")[..(4 << 11)]);
        Assert.Equal(Sectors((0, 1 << 10), (2 << 10, 2 << 10)), Read("two")[..(4 << 11)]);
        image.Check();
        new ResizeImage { Path = image.Path, Size = 1 << 20, Shrink = true }.Run(ImageProgress.None);
        Assert.Equal(Sectors((0, 64))[..(1 << 11)], Read("one"));
        new ResizeImage { Path = image.Path, Size = 2 << 20 }.Run(ImageProgress.None);
        Assert.Equal(Sectors((0, 64), (1 << 10, 1 << 10))[..(2 << 11)], Read("one"));
        Assert.Equal(Sectors((0, 2 << 10))[..(2 << 11)], Read("two"));
        image.Check();

        bool[] Read(string name)
        {
            bool[] read = StoredBitmap.ReadWithQemu(image, name, 512);
            Assert.Equal(read, StoredBitmap.Read(image.Path, name, 512));
            return read;
        }

        // Of a disk of 4 MiB: ranges in KiB.
        static bool[] Sectors(params (int Start, int Length)[] ranges) =>
        [
            .. Enumerable.Range(0, 4 << 11)
                .Select(sector => Array.Exists(ranges, range => sector / 2 >= range.Start && sector / 2 < range.Start + range.Length)),
        ];
    }

    [Fact]
    public void What_cannot_be_is_refused()
    {
        using QemuImage image = new("1M");
        Add(image, "one");
        byte[] before = File.ReadAllBytes(image.Path);
        Assert.Equal(UblkError.BitmapExists, Failure(new CreateBitmap { Path = image.Path, Name = "one" }));
        Assert.Equal(UblkError.InvalidArgument, Failure(new CreateBitmap { Path = image.Path, Name = "" }));
        Assert.Equal(UblkError.InvalidArgument, Failure(new CreateBitmap { Path = image.Path, Name = new string('b', 1024) }));
        foreach (long granularity in (long[])[0, -1, 256, 1000, 1L << 32, long.MinValue])
        {
            Assert.Equal(UblkError.InvalidArgument,
                Failure(new CreateBitmap { Path = image.Path, Name = "two", Granularity = granularity }));
        }

        Assert.Equal(UblkError.BitmapNotFound, Failure(new ClearBitmap { Path = image.Path, Bitmap = "two" }));
        Assert.Equal(UblkError.BitmapNotFound, Failure(new RemoveBitmap { Path = image.Path, Bitmap = "two" }));
        Assert.Equal(before, File.ReadAllBytes(image.Path));
        image.Create("old.qcow2", "1M", "compat=v2");
        Assert.Equal(UblkError.NotSupported, Failure(new CreateBitmap { Path = image.PathOf("old.qcow2"), Name = "one" }));
        image.Create("large.qcow2", "16T");
        Assert.Equal(UblkError.InvalidArgument,
            Failure(new CreateBitmap { Path = image.PathOf("large.qcow2"), Name = "one", Granularity = 4096 }));
    }

    private static UblkError Failure(ImageOperation operation) =>
        Assert.Throws<UblkException>(() => operation.Run(ImageProgress.None)).Error;

    private static void Add(QemuImage image, string name, long granularity = CreateBitmap.DefaultGranularity) =>
        new CreateBitmap { Path = image.Path, Name = name, Granularity = granularity }.Run(ImageProgress.None);

    private static IEnumerable<int> DirtyOf(QemuImage image, string name) => StoredBitmap.Read(image.Path, name, 64 << 10)!
        .Select((isDirty, number) => (isDirty, number)).Where(range => range.isDirty).Select(range => range.number);
}

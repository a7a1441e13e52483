using System.Text.Json;
using Ublk.Files;
using Ublk.Images;

namespace Ublk.Tests.Images;

/// <summary>What we tell of images against what <c>qemu-img info</c> and <c>qemu-img map</c> tell.</summary>
public sealed class ImageInspectorTests : IDisposable
{
    private readonly ImageFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("")]
    [InlineData("compat=0.10,cluster_size=4k")]
    [InlineData("extended_l2=on,refcount_bits=64,lazy_refcounts=on")]
    [InlineData("compression_type=zstd,cluster_size=2M")]
    public void Facts_agree_with_qemu(string options)
    {
        string image = _folder.QemuCreate("a.qcow2", "24M", options);
        ImageFolder.Play(image, "write -P 1 0 1M");
        Shell.Run("qemu-img", "snapshot", "-c", "first one", image);
        JsonElement info = JsonDocument.Parse(Shell.Run("qemu-img", "info", "--output=json", image)).RootElement;
        JsonElement specific = info.GetProperty("format-specific").GetProperty("data");
        UblkImage ours = ImageInspector.Inspect(image, null);
        Assert.Equal(info.GetProperty("virtual-size").GetInt64(), ours.VirtualSize);
        Assert.Equal(info.GetProperty("actual-size").GetInt64(), ours.DiskSize);
        Assert.Equal(info.GetProperty("cluster-size").GetInt32(), ours.ClusterSize);
        Assert.Equal(info.GetProperty("dirty-flag").GetBoolean(), ours.Dirty);
        Assert.Equal(specific.GetProperty("compat").GetString(), ours.Version == 2 ? "0.10" : "1.1");
        Assert.Equal(specific.GetProperty("refcount-bits").GetInt32(), ours.RefcountBits);
        Assert.Equal(specific.GetProperty("compression-type").GetString(), ours.CompressionType.ToString()!.ToLowerInvariant());
        if (ours.Version == 3)
        {
            Assert.Equal(specific.GetProperty("lazy-refcounts").GetBoolean(), ours.LazyRefcounts);
            Assert.Equal(specific.GetProperty("extended-l2").GetBoolean(), ours.ExtendedL2);
            Assert.Equal(specific.GetProperty("corrupt").GetBoolean(), ours.Corrupt);
        }

        UblkImageSnapshot snapshot = Assert.Single(ours.Snapshots);
        JsonElement theirs = Assert.Single(info.GetProperty("snapshots").EnumerateArray());
        Assert.Equal((theirs.GetProperty("id").GetString(), theirs.GetProperty("name").GetString()), (snapshot.Id, snapshot.Name));
        Assert.Equal(theirs.GetProperty("date-sec").GetInt64(), snapshot.Created.ToUnixTimeSeconds());
    }

    [Fact]
    public void A_chain_is_listed_from_the_top_down()
    {
        string bottom = _folder.Create("bottom.raw", 1 << 20, new NewImageOptions { Format = ImageFormat.Raw });
        string middle = _folder.QemuCreate("middle.qcow2", "2M", "", "-b", "bottom.raw", "-F", "raw");
        string top = _folder.QemuCreate("top.qcow2", "3M", "", "-b", middle, "-F", "qcow2");
        IReadOnlyList<UblkImage> chain = ImageInspector.InspectChain(top, null, null);
        Assert.Equal([top, middle, bottom], chain.Select(image => image.Path));
        Assert.Equal([middle, bottom, null], chain.Select(image => image.BackingPath));
        Assert.Equal([3 << 20, 2 << 20, 1 << 20], chain.Select(image => image.VirtualSize));
    }

    [Theory]
    [InlineData("cluster_size=4k")]
    [InlineData("cluster_size=64k")]
    [InlineData("extended_l2=on")]
    [InlineData("compat=0.10")]
    public void The_map_agrees_with_qemu(string options)
    {
        string bottom = _folder.QemuCreate("bottom.qcow2", "6M", "cluster_size=16k");
        ImageFolder.Play(bottom, "write -P 1 1M 4M", "write -c -P 1 5M 64k");
        string top = _folder.QemuCreate("top.qcow2", "16M", options, "-b", bottom, "-F", "qcow2");
        ImageFolder.Play(top, "write -P 2 64k 200k", "write -P 2 8M 1M", "write -c -P 3 9M 1M", "write -z 2M 128k", "write -P 4 3M 2k");
        RequireSameMap(top);
    }

    [Fact]
    public void The_map_of_a_raw_image_agrees_with_qemu()
    {
        string image = _folder["a.raw"];
        File.WriteAllBytes(image, new byte[4 << 20]);
        Shell.Run("fallocate", "--punch-hole", "--offset", "1M", "--length", "2M", image);
        Assert.Equal(
            [(0L, 1L << 20, true), (1L << 20, 2L << 20, false), (3L << 20, 1L << 20, true)],
            ImageInspector.Map(image, null, null).Select(extent => (extent.Start, extent.Length, extent.Data)));
    }

    [Fact]
    public void An_image_in_use_says_so()
    {
        string image = _folder.QemuCreate("a.qcow2", "1M");
        Assert.False(ImageInspector.Inspect(image, null).InUse);
        using DiskFile held = DiskFile.OpenForWriting(image);
        Assert.True(ImageInspector.Inspect(image, null).InUse);
    }

    [Fact]
    public void A_raw_image_that_begins_as_a_qcow2_one_is_raw_if_that_is_said()
    {
        string image = _folder.QemuCreate("a", "1M");
        Assert.Equal(ImageFormat.Raw, ImageInspector.Inspect(image, ImageFormat.Raw).Format);
    }

    private static void RequireSameMap(string image)
    {
        JsonElement theirs = JsonDocument.Parse(Shell.Run("qemu-img", "map", "-f", "qcow2", "--output=json", image)).RootElement;
        Assert.Equal(
            Bytes(theirs.EnumerateArray().Select(extent => new ImageExtent
            {
                Start = extent.GetProperty("start").GetInt64(),
                Length = extent.GetProperty("length").GetInt64(),
                Depth = extent.GetProperty("depth").GetInt32(),
                Present = extent.GetProperty("present").GetBoolean(),
                Zero = extent.GetProperty("zero").GetBoolean(),
                Data = extent.GetProperty("data").GetBoolean(),
                Compressed = false,
                Offset = extent.TryGetProperty("offset", out JsonElement offset) ? offset.GetInt64() : null,
            })),
            Bytes(ImageInspector.Map(image, null, null)));
    }

    // They may divide it differently: so sector by sector. Now and then qemu asks the file system where data is a hole; we do not.
    private static List<string> Bytes(IEnumerable<ImageExtent> extents)
    {
        List<string> sectors = [];
        foreach (ImageExtent extent in extents)
        {
            for (long position = 0; position < extent.Length; position += 512)
            {
                string where = extent.Offset is { } offset ? $"{offset + position}" : "-";
                sectors.Add(
                    $"{extent.Start + position}: depth {(extent.Present ? extent.Depth : 0)} present {extent.Present} zero "
                        + $"{extent.Zero && !extent.Data} data {extent.Data} at {where}");
            }
        }

        return sectors;
    }
}

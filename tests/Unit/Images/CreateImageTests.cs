using System.Text.Json;
using Ublk.Files;
using Ublk.Images;
using Ublk.Qcow2.AtRest;

namespace Ublk.Tests.Images;

/// <summary>New images, judged by qemu.</summary>
public sealed class CreateImageTests : IDisposable
{
    private readonly ImageFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    public static TheoryData<string, NewImageOptions> Options()
    {
        TheoryData<string, NewImageOptions> data = [];
        NewImageOptions options = ImageFolder.Qcow2();
        for (int bits = 9; bits <= 21; bits++)
        {
            data.Add($"clusters of {1 << bits}", options with { ClusterSize = 1 << bits });
        }

        foreach (int bits in new[] { 1, 2, 4, 8, 32, 64 })
        {
            data.Add($"{bits} refcount bits", options with { RefcountBits = bits });
            data.Add($"{bits} refcount bits, small clusters", options with { RefcountBits = bits, ClusterSize = 512 });
        }

        data.Add("version 2", options with { Version = 2 });
        data.Add("zstd", options with { CompressionType = ImageCompression.Zstd });
        data.Add("extended", options with { ExtendedL2 = true });
        data.Add("extended, 16k", options with { ExtendedL2 = true, ClusterSize = 16 << 10 });
        data.Add("lazy", options with { LazyRefcounts = true });
        data.Add("data file", options with { DataFile = "data" });
        data.Add("raw data file", options with { DataFile = "data", DataFileRaw = true });
        return data;
    }

    [Theory]
    [MemberData(nameof(Options), DisableDiscoveryEnumeration = true)]
    public void Is_sound_and_takes_what_qemu_writes(string name, object options)
    {
        NewImageOptions wanted = (NewImageOptions)options;
        const long Size = 6 << 20;
        ImagePreallocation[] all = wanted.ClusterSize is null
            ? Enum.GetValues<ImagePreallocation>()
            : [ImagePreallocation.Off, ImagePreallocation.Metadata];
        foreach (ImagePreallocation preallocation in all)
        {
            string image = _folder.Create($"{preallocation}.qcow2", Size,
                wanted with { Preallocation = preallocation, DataFile = wanted.DataFile is null
                    ? null
                    : _folder[$"{preallocation}.data"] });
            ImageFolder.RequireClean(image);
            ImageFolder.Play(image, "read -P 0 0 6M", "write -P 7 1M 1M", "write -P 8 5366784 4k", "read -P 7 1M 1M", "read -P 0 2M 3M");
            ImageFolder.RequireClean(image);
            if (preallocation is ImagePreallocation.Falloc or ImagePreallocation.Full)
            {
                string data = wanted.DataFile is null ? image : _folder[$"{preallocation}.data"];
                Assert.True(new FileInfo(data).Length >= Size, name);
                Assert.True(AllocatedLength(data) >= Size, name);
            }
        }
    }

    [Theory]
    [InlineData(3, null, null, true, 128 << 10)]
    [InlineData(3, null, false, false, 64 << 10)]
    [InlineData(3, 16 << 10, null, true, 16 << 10)]
    [InlineData(3, 8 << 10, null, false, 8 << 10)]
    [InlineData(2, null, null, false, 64 << 10)]
    public void With_a_backing_file_parts_of_clusters_can_be_allocated(
        int version, int? clusterSize, bool? wanted, bool isExtended, int expectedSize)
    {
        File.WriteAllBytes(_folder["base"], [.. Enumerable.Repeat((byte)7, 1 << 20)]);
        string image = _folder.Create("a.qcow2", 1 << 20, ImageFolder.Qcow2() with
        {
            BackingFile = _folder["base"],
            BackingFormat = ImageFormat.Raw,
            Version = version,
            ClusterSize = clusterSize,
            ExtendedL2 = wanted,
        });
        ImageFolder.Play(image, "write -P 8 4k 4k", "read -P 7 0 4k", "read -P 8 4k 4k", "read -P 7 8k 1016k");
        ImageFolder.RequireClean(image);
        UblkImage actual = ImageInspector.Inspect(image, null);
        Assert.Equal((isExtended, expectedSize), (actual.ExtendedL2 ?? false, (int)actual.ClusterSize!));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(512)]
    [InlineData(1 << 30)]
    [InlineData(1L << 50)]
    public void Any_size_is_possible(long size)
    {
        string image = _folder.Create("a.qcow2", size, ImageFolder.Qcow2() with { ClusterSize = 2 << 20 });
        ImageFolder.RequireClean(image);
    }

    [Fact]
    public void A_raw_image_is_a_file_of_holes()
    {
        string image = _folder.Create("a.raw", 1 << 20, new NewImageOptions { Format = ImageFormat.Raw });
        Assert.Equal(1 << 20, new FileInfo(image).Length);
        Assert.Equal("0", Shell.Run("du", "--block-size=1", image).Split('\t')[0]);
    }

    [Fact]
    public void A_backing_file_shows_through()
    {
        string backing = _folder.QemuCreate("base.qcow2", "1M");
        ImageFolder.Play(backing, "write -P 9 64k 64k");
        NewImageOptions options = ImageFolder.Qcow2() with { BackingFile = "base.qcow2", BackingFormat = ImageFormat.Qcow2 };
        new CreateImage { Path = _folder["top.qcow2"], Options = options }.Run(ImageProgress.None);
        ImageFolder.Play(_folder["top.qcow2"], "read -P 9 64k 64k", "read -P 0 128k 64k");
        ImageFolder.RequireClean(_folder["top.qcow2"]);
        Assert.Contains("\"backing-filename-format\": \"qcow2\"", Shell.Run("qemu-img", "info", "--output=json", _folder["top.qcow2"]));
    }

    [Fact]
    public void A_file_that_is_there_stays()
    {
        File.WriteAllText(_folder["a.qcow2"], "mine");
        UblkException error = Assert.Throws<UblkException>(() => _folder.Create("a.qcow2", 1 << 20));
        Assert.Equal(UblkError.PathExists, error.Error);
        Assert.Equal("mine", File.ReadAllText(_folder["a.qcow2"]));
        new CreateImage { Path = _folder["a.qcow2"], Size = 1 << 20, Options = ImageFolder.Qcow2(), Force = true }.Run(ImageProgress.None);
        ImageFolder.RequireClean(_folder["a.qcow2"]);
        Assert.Equal(["a.qcow2"], _folder.Names);
    }

    [Fact]
    public void Nothing_is_left_of_one_that_is_stopped()
    {
        using CancellationTokenSource stop = new();
        ImageProgress progress = new((_, _, _) => stop.Cancel(), _ => { }, stop.Token);
        CreateImage create = new()
        {
            Path = _folder["a.qcow2"],
            Size = 64 << 20,
            Options = ImageFolder.Qcow2() with { Preallocation = ImagePreallocation.Full },
        };
        Assert.Throws<OperationCanceledException>(() => create.Run(progress));
        Assert.Empty(_folder.Names);
    }

    [Fact]
    public void Impossible_options_leave_nothing()
    {
        NewImageOptions options = ImageFolder.Qcow2();
        Assert.All(
            new[]
            {
                options with { ClusterSize = 3000 },
                options with { ClusterSize = 4 << 20 },
                options with { RefcountBits = 128 },
                options with { Version = 4 },
                options with { Version = 2, ExtendedL2 = true },
                options with { ClusterSize = 4096, ExtendedL2 = true },
                options with { BackingFile = "base" },
                options with { DataFileRaw = true },
                new NewImageOptions { Format = ImageFormat.Raw, ClusterSize = 4096 },
                new NewImageOptions { Format = ImageFormat.Raw, Preallocation = ImagePreallocation.Metadata },
            },
            wrong =>
                Assert.Equal(UblkError.InvalidArgument, Assert.Throws<UblkException>(() => _folder.Create("a", 1 << 20, wrong)).Error));
        Assert.Equal(UblkError.InvalidArgument, Assert.Throws<UblkException>(() => _folder.Create("a", 1000)).Error);
        Assert.Equal(UblkError.InvalidArgument,
            Assert.Throws<UblkException>(() => _folder.Create("a", 1L << 50, options with { ClusterSize = 512 })).Error);
        Assert.Empty(_folder.Names);
    }

    private static long AllocatedLength(string path)
    {
        using DiskFile file = DiskFile.Open(path);
        return file.AllocatedLength;
    }

    [Theory]
    [InlineData("base.raw")]
    [InlineData("middle.qcow2")]
    [InlineData("middle.data")]
    [InlineData("top.qcow2")]
    [InlineData("link")]
    [InlineData("hardlink")]
    public void Never_replaces_a_file_that_it_would_read(string name)
    {
        File.WriteAllBytes(_folder["base.raw"], [.. Enumerable.Repeat((byte)7, 1 << 20)]);
        _folder.QemuCreate("middle.qcow2", "1M", $"data_file={_folder["middle.data"]}", "-b", _folder["base.raw"], "-F", "raw");
        _folder.QemuCreate("top.qcow2", "1M", "", "-b", _folder["middle.qcow2"], "-F", "qcow2");
        File.CreateSymbolicLink(_folder["link"], _folder["base.raw"]);
        Shell.Run("ln", _folder["base.raw"], _folder["hardlink"]);
        string[] before = [.. _folder.Names];
        byte[] content = File.ReadAllBytes(_folder[name]);

        NewImageOptions overlay = ImageFolder.Qcow2() with { BackingFile = _folder["top.qcow2"], BackingFormat = ImageFormat.Qcow2 };
        ImageOperation[] operations =
        [
            new CreateImage { Path = _folder[name], Options = overlay, Force = true },
            new CreateImage { Path = _folder["new"], Options = overlay with { DataFile = _folder[name] }, Force = true },
            new ConvertImage { Path = _folder["top.qcow2"], Destination = _folder[name], Options = ImageFolder.Qcow2(), Force = true },
            new ConvertImage { Path = _folder["top.qcow2"], Destination = _folder[name], Options = new() { Format = ImageFormat.Raw },
                Force = true },
            new ConvertImage { Path = _folder["top.qcow2"], Destination = _folder["new"],
                Options = ImageFolder.Qcow2() with { DataFile = _folder[name] }, Force = true },
        ];
        foreach (ImageOperation operation in operations)
        {
            UblkException error = Assert.Throws<UblkException>(() => operation.Run(ImageProgress.None));
            Assert.Equal(UblkError.InvalidArgument, error.Error);
            Assert.Contains(_folder[name], error.Message, StringComparison.Ordinal);
        }

        Assert.Equal(before, _folder.Names);
        Assert.Equal(content, File.ReadAllBytes(_folder[name]));
    }

    [Fact]
    public void Is_not_its_own_data_file()
    {
        UblkException error =
            Assert.Throws<UblkException>(() => _folder.Create("a", 1 << 20, ImageFolder.Qcow2() with { DataFile = _folder["a"] }));
        Assert.Equal(UblkError.InvalidArgument, error.Error);
        Assert.Empty(_folder.Names);
    }

    [Fact]
    public void A_block_device_gets_an_image_with_force_alone()
    {
        using LoopDevice device = new(4 << 20);
        Shell.Run("mkfs.ext4", "-q", "-F", device.Path);
        byte[] before = File.ReadAllBytes(device.BackingPath);
        foreach (NewImageOptions options in (NewImageOptions[])
            [
                new() { Format = ImageFormat.Raw }, ImageFolder.Qcow2() with { Preallocation = ImagePreallocation.Metadata },
            ])
        {
            Assert.Equal(UblkError.NotSupported, Assert.Throws<UblkException>(() => Create(options, force: true)).Error);
        }

        Assert.Equal(UblkError.PathExists, Assert.Throws<UblkException>(() => Create(ImageFolder.Qcow2(), force: false)).Error);
        Assert.Equal(before, File.ReadAllBytes(device.BackingPath));

        Create(ImageFolder.Qcow2(), force: true);
        ImageFolder.RequireClean(device.Path);
        Assert.Equal("qcow2", JsonDocument.Parse(Shell.Run("qemu-img", "info", "--output=json", device.Path))
            .RootElement.GetProperty("format").GetString());
        ImageFolder.Play(device.Path, "read -P 0 0 1G", "write -P 1 0 64k", "read -P 1 0 64k");
        ImageFolder.RequireClean(device.Path);

        void Create(NewImageOptions options, bool force) =>
            new CreateImage { Path = device.Path, Size = 1 << 30, Options = options, Force = force }.Run(ImageProgress.None);
    }
}

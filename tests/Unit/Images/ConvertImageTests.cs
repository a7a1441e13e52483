using Ublk.Files;
using Ublk.Images;
using Ublk.Qcow2.AtRest;

namespace Ublk.Tests.Images;

/// <summary>Copies of images into others, compared and checked by qemu.</summary>
public sealed class ConvertImageTests : IDisposable
{
    private readonly ImageFolder _folder = new();

    public static TheoryData<string, bool, NewImageOptions> Targets()
    {
        NewImageOptions options = ImageFolder.Qcow2();
        return new TheoryData<string, bool, NewImageOptions>
        {
            { "raw", false, new NewImageOptions { Format = ImageFormat.Raw } },
            { "qcow2", false, options },
            { "zlib", true, options },
            { "zstd", true, options with { CompressionType = ImageCompression.Zstd } },
            { "zlib 512", true, options with { ClusterSize = 512 } },
            { "zlib 2M", true, options with { ClusterSize = 2 << 20 } },
            { "zstd 1 bit", true, options with { CompressionType = ImageCompression.Zstd, RefcountBits = 1 } },
            { "zlib 2 bits", true, options with { RefcountBits = 2, ClusterSize = 16 << 10 } },
            { "version 2", true, options with { Version = 2 } },
            { "extended", false, options with { ExtendedL2 = true } },
            { "extended zlib", true, options with { ExtendedL2 = true } },
            { "data file", false, options with { DataFile = "data" } },
            { "raw data file", false, options with { DataFile = "data", DataFileRaw = true } },
        };
    }

    public static TheoryData<string> Sources =>
    [
        "cluster_size=512", "cluster_size=64k", "cluster_size=2M", "compat=0.10", "compression_type=zstd",
        "extended_l2=on,cluster_size=16k", "cluster_size=4k,refcount_bits=1", "data_file",
    ];

    public void Dispose() => _folder.Dispose();

    [Theory]
    [MemberData(nameof(Targets), DisableDiscoveryEnumeration = true)]
    public void Into_each_kind(string name, bool compress, object options)
    {
        string source = _folder["source.raw"];
        WriteContent(source);
        NewImageOptions wanted = (NewImageOptions)options;
        wanted = wanted with { DataFile = wanted.DataFile is null ? null : _folder["data"] };
        string image = Convert(source, wanted, compress);
        string format = wanted.Format == ImageFormat.Raw ? "raw" : "qcow2";
        ImageFolder.RequireSame(source, "raw", image, format);
        if (format == "qcow2")
        {
            ImageFolder.RequireClean(image);
            QemuCheck check = ImageFolder.QemuCheckOf(image);
            Assert.True(compress == (check.CompressedClusters > 0), name);
            ImageFolder.Play(image, "write -P 6 100k 3M", "read -P 6 100k 3M");
            ImageFolder.RequireClean(image);
        }
        else
        {
            Assert.True(Used(image) <= Used(source), "holes are kept");
        }

        if (wanted.DataFileRaw)
        {
            Assert.Equal(new FileInfo(source).Length, new FileInfo(_folder["data"]).Length);
        }
    }

    [Theory]
    [MemberData(nameof(Sources))]
    public void From_each_kind(string options)
    {
        string source =
            _folder.QemuCreate("source.qcow2", "9000k", options == "data_file" ? $"data_file={_folder["source.data"]}" : options);
        ImageFolder.Play(source, "write -P 1 0 1M", "write -P 2 5000k 300k", "write -z 64k 128k", "discard 300k 64k",
            "write -P 3 8990k 10k", "write -P 9 7M 2k");
        if (options is not ("data_file" or "cluster_size=2M"))
        {
            ImageFolder.Play(source, "write -c -P 5 2M 1M");
        }

        string raw = Convert(source, new NewImageOptions { Format = ImageFormat.Raw });
        ImageFolder.RequireSame(source, "qcow2", raw, "raw");
        Assert.Equal(9000 << 10, new FileInfo(raw).Length);
        Assert.True(Used(raw) < 3 << 20, "holes are kept");
    }

    [Fact]
    public void A_chain_becomes_one_image()
    {
        string bottom = _folder["bottom.raw"];
        WriteContent(bottom);
        string middle = _folder.QemuCreate("middle.qcow2", "12M", "", "-b", bottom, "-F", "raw");
        ImageFolder.Play(middle, "write -P 7 1M 2M", "write -z 3M 64k", "write -c -P 4 4M 64k");
        string top = _folder.QemuCreate("top.qcow2", "14M", "cluster_size=4k", "-b", middle, "-F", "qcow2");
        ImageFolder.Play(top, "write -P 8 2M 5000", "write -P 9 13M 4k");
        string image = Convert(top, ImageFolder.Qcow2());
        ImageFolder.RequireSame(top, "qcow2", image, "qcow2");
        ImageFolder.RequireClean(image);
    }

    [Fact]
    public void A_snapshot_can_be_taken_out()
    {
        string source = _folder.QemuCreate("source.qcow2", "4M");
        ImageFolder.Play(source, "write -P 1 0 1M");
        Shell.Run("qemu-img", "snapshot", "-c", "one", source);
        ImageFolder.Play(source, "write -P 2 0 1M");
        new ConvertImage { Path = source, Destination = _folder["a.qcow2"], Snapshot = "one",
            Options = ImageFolder.Qcow2() }.Run(ImageProgress.None);
        ImageFolder.Play(_folder["a.qcow2"], "read -P 1 0 1M");
    }

    [Fact]
    public void Damage_that_is_met_leaves_nothing()
    {
        string source = _folder.QemuCreate("source.qcow2", "4M");
        ImageFolder.Play(source, "write -c -P 1 0 64k");
        byte[] bytes = File.ReadAllBytes(source);
        bytes.AsSpan(5 << 16, 64).Fill(0xFF);
        File.WriteAllBytes(source, bytes);
        Assert.Equal(UblkError.InvalidImage, Assert.Throws<UblkException>(() => Convert(source, ImageFolder.Qcow2())).Error);
        Assert.Equal(["source.qcow2"], _folder.Names);
    }

    [Fact]
    public void Is_stopped_between_two_pieces_and_leaves_nothing()
    {
        string source = _folder["source.raw"];
        WriteContent(source);
        using CancellationTokenSource stop = new();
        ImageProgress progress = new((_, _, _) => stop.Cancel(), _ => { }, stop.Token);
        ConvertImage convert = new() { Path = source, Destination = _folder["a.qcow2"], Options = ImageFolder.Qcow2() };
        Assert.Throws<OperationCanceledException>(() => convert.Run(progress));
        Assert.Equal(["source.raw"], _folder.Names);
    }

    [Fact]
    public void An_image_in_use_and_a_place_that_is_taken_are_refused()
    {
        string source = _folder.Create("source.qcow2", 1 << 20);
        using (DiskFile held = DiskFile.OpenForWriting(source))
        {
            Assert.Equal(UblkError.BackingFileInUse, Assert.Throws<UblkException>(() => Convert(source, ImageFolder.Qcow2())).Error);
        }

        Assert.Equal(
            UblkError.InvalidArgument,
            Assert.Throws<UblkException>(() => new ConvertImage { Path = source, Destination = source, Options = ImageFolder.Qcow2(),
                Force = true }.Run(ImageProgress.None)).Error);
        ImageFolder.RequireClean(source);
    }

    [Fact]
    public void A_loop_in_a_chain_is_named()
    {
        string one = _folder.QemuCreate("one.qcow2", "1M");
        string two = _folder.QemuCreate("two.qcow2", "1M", "", "-b", one, "-F", "qcow2");
        Shell.Run("qemu-img", "rebase", "-u", "-b", two, "-F", "qcow2", one);
        UblkException error = Assert.Throws<UblkException>(() => Convert(two, ImageFolder.Qcow2()));
        Assert.Contains("two.qcow2 -> ", error.Message);
        File.Delete(one);
        error = Assert.Throws<UblkException>(() => Convert(two, ImageFolder.Qcow2()));
        Assert.Equal(UblkError.PathNotFound, error.Error);
        Assert.Contains("two.qcow2", error.Message);
    }

    private static long Used(string file) => long.Parse(Shell.Run("du", "--block-size=1", file).Split('\t')[0]);

    // Data that compresses and data that does not, zeroes that are stored, holes, and an end inside of a cluster.
    private static void WriteContent(string path)
    {
        Random random = new(1);
        byte[] content = new byte[11_000_320];
        random.NextBytes(content.AsSpan(0, 1_000_000));
        for (int i = 3_000_000; i < 6_000_000; i++)
        {
            content[i] = (byte)(i >> 9);
        }

        random.NextBytes(content.AsSpan(content.Length - 700));
        File.WriteAllBytes(path, content);
        Shell.Run("fallocate", "--punch-hole", "--offset", "1048576", "--length", "1048576", path);
    }

    private string Convert(string source, NewImageOptions options, bool compress = false)
    {
        string destination = _folder["destination"];
        new ConvertImage { Path = source, Destination = destination, Options = options, Compress = compress }.Run(ImageProgress.None);
        return destination;
    }
}

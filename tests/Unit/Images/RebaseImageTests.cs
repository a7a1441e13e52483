using Ublk.Files;
using Ublk.Images;
using Ublk.Qcow2.AtRest;

namespace Ublk.Tests.Images;

/// <summary>Set-UblkImage -BackingPath, judged by qemu-img.</summary>
public sealed class RebaseImageTests : IDisposable
{
    private readonly ImageFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("qcow2", "")]
    [InlineData("raw", "")]
    [InlineData("none", "")]
    [InlineData("qcow2", "extended_l2=on")]
    [InlineData("none", "compat=0.10")]
    [InlineData("raw", "cluster_size=512")]
    public void The_disk_stays_the_same(string format, string options)
    {
        string image = Make(options);
        string other = _folder["other"];
        if (format != "none")
        {
            Shell.Run("qemu-img", "create", "-q", "-f", format, other, "6M");
            Shell.Run("qemu-io", "-f", format, "-c", "write -P 1 0 1M", "-c", "write -P 9 2M 2M", other);
        }

        new RebaseImage
        {
            Path = image,
            BackingFile = format == "none" ? null : other,
            BackingFormat = format == "none" ? null : Enum.Parse<ImageFormat>(format, ignoreCase: true),
        }.Run(ImageProgress.None);

        File.Delete(_folder["base.qcow2"]);
        ImageFolder.RequireSame(image, "qcow2", _folder["expected.raw"], "raw");
        ImageFolder.RequireClean(image);
        UblkImage described = ImageInspector.Inspect(image, ImageFormat.Qcow2);
        Assert.Equal(format == "none" ? null : other, described.BackingPath);

        // What both have is not copied.
        Assert.True(format == "none" || ImageFolder.QemuCheckOf(image).AllocatedClusters < described.VirtualSize / described.ClusterSize);
    }

    [Fact]
    public void The_header_alone_follows_a_file_that_was_renamed()
    {
        string image = Make("");
        long length = new FileInfo(image).Length;
        File.Move(_folder["base.qcow2"], _folder["renamed.qcow2"]);
        new RebaseImage { Path = image, BackingFile = "renamed.qcow2", BackingFormat = ImageFormat.Qcow2, HeaderOnly = true }
            .Run(ImageProgress.None);
        ImageFolder.RequireSame(image, "qcow2", _folder["expected.raw"], "raw");
        Assert.Equal(length, new FileInfo(image).Length);
    }

    [Fact]
    public void A_header_that_is_replaced_is_one_sector()
    {
        string image = Make("");
        byte[] before = File.ReadAllBytes(image);
        File.Copy(_folder["base.qcow2"], _folder["copy.qcow2"]);
        new RebaseImage { Path = image, BackingFile = "copy.qcow2", BackingFormat = ImageFormat.Qcow2, HeaderOnly = true }
            .Run(ImageProgress.None);
        byte[] after = File.ReadAllBytes(image);
        Assert.NotEqual(before[..512], after[..512]);
        Assert.Equal(before[512..], after[512..]);
    }

    [Theory]
    [InlineData("a.qcow2", "leads back")]
    [InlineData("missing.qcow2", "There is no file")]
    public void A_backing_file_that_cannot_be_is_refused(string name, string says)
    {
        string image = Make("");
        byte[] before = File.ReadAllBytes(image);
        Assert.Contains(says, Refused(new RebaseImage { Path = image, BackingFile = name, BackingFormat = ImageFormat.Qcow2 }),
            StringComparison.Ordinal);
        Assert.Equal(before, File.ReadAllBytes(image));
    }

    [Fact]
    public void A_format_is_not_guessed_and_snapshots_are_not_left_behind()
    {
        string image = Make("");
        Assert.Contains("-BackingFormat", Refused(new RebaseImage { Path = image, BackingFile = "base.qcow2" }), StringComparison.Ordinal);
        Shell.Run("qemu-img", "snapshot", "-c", "one", image);
        Assert.Contains("snapshots", Refused(new RebaseImage { Path = image }), StringComparison.Ordinal);
    }

    [Fact]
    public void A_name_that_does_not_fit_the_sector_is_refused()
    {
        string image = Make("");
        string name = $"{new string('x', 200)}.qcow2";
        string folder = Path.GetDirectoryName(image)!;
        File.Copy(_folder["base.qcow2"], Path.Combine(folder, name));
        string longName = string.Concat(Enumerable.Repeat("./", 150)) + name;
        Assert.Contains("larger than a sector", Refused(
            new RebaseImage { Path = image, BackingFile = longName, BackingFormat = ImageFormat.Qcow2, HeaderOnly = true }),
            StringComparison.Ordinal);
    }

    private static string Refused(RebaseImage operation) =>
        Assert.Throws<UblkException>(() => operation.Run(ImageProgress.None)).Message;

    private string Make(string options)
    {
        string backing = _folder.QemuCreate("base.qcow2", "4M");
        ImageFolder.Play(backing, "write -P 1 0 3M", "write -z 3M 512k");
        string image = _folder.QemuCreate("a.qcow2", "8M", options, "-b", backing, "-F", "qcow2");
        ImageFolder.Play(image, "write -P 2 512k 64k", "write -P 3 7M 1M");
        Shell.Run("qemu-img", "convert", "-f", "qcow2", "-O", "raw", image, _folder["expected.raw"]);
        return image;
    }
}

using Ublk.Files;
using Ublk.Images;
using Ublk.Qcow2.AtRest;

namespace Ublk.Tests.Images;

/// <summary>Merge-UblkImage, against qemu-img commit and compare.</summary>
public sealed class MergeImageTests : IDisposable
{
    private readonly ImageFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("qcow2", "")]
    [InlineData("raw", "")]
    [InlineData("qcow2", "extended_l2=on")]
    [InlineData("raw", "extended_l2=on,cluster_size=16k")]
    public void The_backing_file_then_holds_the_disk(string format, string options)
    {
        string backing = _folder[$"base.{format}"];
        Shell.Run("qemu-img", "create", "-q", "-f", format, backing, "8M");
        Shell.Run("qemu-io", "-f", format, "-c", "write -P 1 0 8M", backing);
        string image = _folder.QemuCreate("a.qcow2", "8M", options, "-b", backing, "-F", format);
        ImageFolder.Play(image, "write -P 2 0 512", "write -P 3 1M 1M", "write -z 3M 100k", "write -c -P 4 5M 64k", "write -P 5 8191k 1k");
        Shell.Run("qemu-img", "convert", "-f", "qcow2", "-O", "raw", image, _folder["expected.raw"]);

        new MergeImage { Path = image }.Run(ImageProgress.None);

        ImageFolder.RequireSame(backing, format, _folder["expected.raw"], "raw");
        ImageFolder.RequireSame(image, "qcow2", _folder["expected.raw"], "raw");
        if (format == "qcow2")
        {
            ImageFolder.RequireClean(backing);
        }
    }

    [Fact]
    public void A_smaller_backing_file_grows()
    {
        string backing = _folder.QemuCreate("base.qcow2", "1M");
        ImageFolder.Play(backing, "write -P 1 0 1M");
        string image = _folder.QemuCreate("a.qcow2", "4M", "", "-b", backing, "-F", "qcow2");
        ImageFolder.Play(image, "write -P 2 3M 1M");
        new MergeImage { Path = image }.Run(ImageProgress.None);
        Shell.Run("qemu-io", "-f", "qcow2", "-c", "read -P 1 0 1M", "-c", "read -P 0 1M 2M", "-c", "read -P 2 3M 1M", backing);
        ImageFolder.RequireClean(backing);
    }

    [Fact]
    public void A_backing_file_in_use_stays_as_it_is()
    {
        string backing = _folder.QemuCreate("base.qcow2", "1M");
        string image = _folder.QemuCreate("a.qcow2", "1M", "", "-b", backing, "-F", "qcow2");
        ImageFolder.Play(image, "write -P 2 0 1M");
        byte[] before = File.ReadAllBytes(backing);
        using DiskFile user = DiskFile.OpenForWriting(backing);
        Assert.Equal(UblkError.BackingFileInUse,
            Assert.Throws<UblkException>(() => new MergeImage { Path = image }.Run(ImageProgress.None)).Error);
        Assert.Equal(before, File.ReadAllBytes(backing));
    }

    [Fact]
    public void An_image_without_a_backing_file_is_refused() => Assert.Contains("no backing file", Assert.Throws<UblkException>(
        () => new MergeImage { Path = _folder.QemuCreate("a.qcow2", "1M") }.Run(ImageProgress.None)).Message, StringComparison.Ordinal);
}

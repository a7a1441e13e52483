using Ublk.Files;
using Ublk.Images;
using Ublk.Qcow2.AtRest;

namespace Ublk.Tests.Images;

/// <summary>Compare-UblkImage, against qemu-img compare.</summary>
public sealed class CompareImageTests : IDisposable
{
    private readonly ImageFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Copies_in_other_formats_are_identical()
    {
        string image = _folder.QemuCreate("a.qcow2", "8M");
        ImageFolder.Play(image, "write -P 1 0 1M", "write -P 2 5M 3000", "write -z 6M 64k");
        Shell.Run("qemu-img", "convert", "-f", "qcow2", "-O", "raw", image, _folder["a.raw"]);
        Shell.Run("qemu-img", "convert", "-c", "-f", "qcow2", "-O", "qcow2", "-o", "cluster_size=4k", image, _folder["b.qcow2"]);
        foreach (string other in (string[])[_folder["a.raw"], _folder["b.qcow2"]])
        {
            ImageComparison comparison = Compare(image, other);
            Assert.True(comparison.Identical);
            Assert.Null(comparison.FirstDifference);
            Assert.Equal((8 << 20, 8 << 20), (comparison.Size, comparison.OtherSize));
        }
    }

    [Theory]
    [InlineData(0)]
    [InlineData(4096)]
    [InlineData((2 << 20) - 1)]
    [InlineData(3 << 20)]
    [InlineData((8 << 20) - 1)]
    public void The_first_byte_that_differs_is_found(long offset)
    {
        string image = _folder.QemuCreate("a.qcow2", "8M");
        ImageFolder.Play(image, "write -P 1 0 3M");
        Shell.Run("qemu-img", "convert", "-f", "qcow2", "-O", "raw", image, _folder["a.raw"]);
        using (FileStream file = File.OpenWrite(_folder["a.raw"]))
        {
            file.Position = offset;
            file.WriteByte(9);
        }

        Assert.Equal(offset, Compare(image, _folder["a.raw"]).FirstDifference);
        Assert.Equal(offset, Compare(_folder["a.raw"], image).FirstDifference);
    }

    [Fact]
    public void A_longer_disk_is_identical_if_the_rest_is_zeroes()
    {
        string image = _folder.QemuCreate("a.qcow2", "1M");
        string longer = _folder.QemuCreate("b.qcow2", "4M");
        ImageFolder.Play(image, "write -P 1 0 1M");
        ImageFolder.Play(longer, "write -P 1 0 1M");
        Assert.True(Compare(image, longer).Identical);
        ImageFolder.Play(longer, "write -P 1 3M 512");
        Assert.Equal(3 << 20, Compare(image, longer).FirstDifference);
        Assert.Equal(3 << 20, Compare(longer, image).FirstDifference);
    }

    [Fact]
    public void Chains_are_compared_as_their_disks()
    {
        string backing = _folder.QemuCreate("base.qcow2", "4M");
        ImageFolder.Play(backing, "write -P 1 0 4M");
        string image = _folder.QemuCreate("a.qcow2", "4M", "", "-b", backing, "-F", "qcow2");
        ImageFolder.Play(image, "write -P 2 1M 64k");
        Assert.Equal(1 << 20, Compare(image, backing).FirstDifference);
        ImageFolder.Play(image, "write -P 1 1M 64k");
        Assert.True(Compare(image, backing).Identical);
    }

    private static ImageComparison Compare(string one, string other) =>
        (ImageComparison)new CompareImage { Path = one, Other = other, Format = FormatOf(one), OtherFormat = FormatOf(other) }
            .Run(ImageProgress.None);

    private static ImageFormat FormatOf(string path) => Path.GetExtension(path) == ".raw" ? ImageFormat.Raw : ImageFormat.Qcow2;
}

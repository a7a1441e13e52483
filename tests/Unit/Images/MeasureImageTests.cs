using Ublk.Files;
using Ublk.Images;
using Ublk.Qcow2.AtRest;

namespace Ublk.Tests.Images;

/// <summary>Measure-UblkImage, against the files that a conversion and a full allocation make.</summary>
public sealed class MeasureImageTests : IDisposable
{
    private readonly ImageFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(64 << 10, 16)]
    [InlineData(4 << 10, 16)]
    [InlineData(4 << 10, 64)]
    [InlineData(512, 1)]
    [InlineData(2 << 20, 16)]
    public void A_conversion_needs_as_much_as_measured(int clusterSize, int refcountBits)
    {
        string image = _folder.QemuCreate("a.qcow2", "40M");
        ImageFolder.Play(image, "write -P 1 0 3M", "write -P 2 20M 4k", "write -P 3 35M 5M");
        NewImageOptions options = ImageFolder.Qcow2() with { ClusterSize = clusterSize, RefcountBits = refcountBits };
        ImageMeasurement measured = Measure(new MeasureImage { Path = image, Options = options });
        new ConvertImage { Path = image, Destination = _folder["b.qcow2"], Options = options }.Run(ImageProgress.None);

        // The source allocates whole clusters of its own size, in which the copy finds zeroes.
        long slack = 64 << 10;
        Assert.InRange(new FileInfo(_folder["b.qcow2"]).Length, measured.Required - slack - (2 * clusterSize), measured.Required);
    }

    [Theory]
    [InlineData(64 << 10, 16)]
    [InlineData(4 << 10, 16)]
    [InlineData(512, 1)]
    [InlineData(2 << 20, 64)]
    public void A_full_image_is_as_long_as_measured(int clusterSize, int refcountBits)
    {
        NewImageOptions options = ImageFolder.Qcow2() with
        {
            ClusterSize = clusterSize, RefcountBits = refcountBits, Preallocation = ImagePreallocation.Metadata,
        };
        ImageMeasurement measured = Measure(new MeasureImage { Path = "", Size = 24 << 20, Options = options });
        Assert.Equal(new FileInfo(_folder.Create("a.qcow2", 24 << 20, options)).Length, measured.FullyAllocated);
        Assert.True(measured.Required < measured.FullyAllocated);
    }

    [Fact]
    public void A_raw_image_needs_its_data()
    {
        string image = _folder.QemuCreate("a.qcow2", "40M");
        ImageFolder.Play(image, "write -P 1 0 3M", "write -z 10M 3M");
        ImageMeasurement measured = Measure(new MeasureImage { Path = image, Options = new NewImageOptions { Format = ImageFormat.Raw } });
        Assert.Equal((3 << 20, 40 << 20), (measured.Required, measured.FullyAllocated));
    }

    private static ImageMeasurement Measure(MeasureImage operation) => (ImageMeasurement)operation.Run(ImageProgress.None);
}

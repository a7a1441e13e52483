using Ublk.Files;
using Ublk.Images;
using Ublk.Qcow2.AtRest;

namespace Ublk.Tests.Images;

/// <summary>Images of formats that are unknown here, made by qemu.</summary>
public sealed class ForeignFormatTests : IDisposable
{
    private readonly ImageFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("vhdx", "VHDX", "")]
    [InlineData("vpc", "VHD", "")]
    [InlineData("vpc", "VHD", "subformat=fixed")]
    [InlineData("vmdk", "VMDK", "")]
    [InlineData("vmdk", "VMDK", "subformat=monolithicFlat")]
    [InlineData("vdi", "VDI", "")]
    [InlineData("qed", "QED", "")]
    [InlineData("parallels", "Parallels", "")]
    [InlineData("luks", "LUKS", "")]
    public void Is_no_raw_disk(string format, string name, string options)
    {
        string image = _folder["image"];
        Shell.Run("qemu-img", ["create", "-q", "-f", format == "luks" ? "raw" : format,
            .. options.Length > 0 ? ["-o", options] : Array.Empty<string>(), image, "4M"]);
        if (format == "luks")
        {
            // qemu-img measures how fast it derives keys first, which fails on a busy machine.
            using FileStream file = File.OpenWrite(image);
            file.Write([.. "LUKS"u8, 0xBA, 0xBE, 0, 1]);
        }

        byte[] before = File.ReadAllBytes(image);
        Action[] uses =
        [
            () => ImageInspector.Inspect(image, null),
            () => ImageInspector.InspectChain(image, null, null),
            () => ImageFolder.Check(image),
            () => ImageFolder.Check(image, repair: true),
            () => new ConvertImage { Path = image, Destination = _folder["new"], Options = ImageFolder.Qcow2() }.Run(ImageProgress.None),
            () => new ResizeImage { Path = image, Size = 1 << 30 }.Run(ImageProgress.None),
            () => new OptimizeImage { Path = image }.Run(ImageProgress.None),
            () => new CreateSnapshot { Path = image, Name = "a" }.Run(ImageProgress.None),
        ];
        Assert.All(uses, use =>
        {
            UblkException error = Assert.Throws<UblkException>(use);
            Assert.Equal(UblkError.NotSupported, error.Error);
            Assert.Contains($"is a {name} image", error.Message, StringComparison.Ordinal);
            Assert.Contains(format == "luks"
                ? "cryptsetup open"
                : $"qemu-img convert -f {format} -O qcow2", error.Message, StringComparison.Ordinal);
        });
        Assert.Equal(before, File.ReadAllBytes(image));

        // Unless the user says that it is one.
        Assert.Equal(ImageFormat.Raw, ImageInspector.Inspect(image, ImageFormat.Raw).Format);
        new ConvertImage { Path = image, SourceFormat = ImageFormat.Raw, Destination = _folder["raw"],
            Options = new() { Format = ImageFormat.Raw } }
            .Run(ImageProgress.None);
        ImageFolder.RequireSame(image, "raw", _folder["raw"], "raw");
    }

    [Fact]
    public void A_qcow2_image_may_hold_anything()
    {
        string image = _folder.Create("a.qcow2", 1 << 20);
        using (FileStream end = File.Open(image, FileMode.Append))
        {
            end.Write([.. "conectix"u8, .. new byte[504]]);
        }

        Assert.Equal(ImageFormat.Qcow2, ImageInspector.Inspect(image, null).Format);
    }
}

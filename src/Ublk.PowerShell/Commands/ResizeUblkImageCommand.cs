using System.Management.Automation;
using Ublk.Files;
using Ublk.Images;

namespace Ublk.PowerShell.Commands;

/// <summary>Changes the size of images' disks.</summary>
[Cmdlet(VerbsCommon.Resize, "UblkImage", DefaultParameterSetName = "Path", SupportsShouldProcess = true)]
[OutputType(typeof(UblkImage))]
public sealed class ResizeUblkImageCommand : UblkImagePathCommand
{
    /// <summary>The new size in bytes.</summary>
    [Parameter(Mandatory = true, Position = 1)]
    public long Size { get; set; }

    /// <summary>The image's format, where how it begins is not to be trusted.</summary>
    [Parameter]
    public ImageFormat? Format { get; set; }

    /// <summary>Lets the disk lose its end.</summary>
    [Parameter]
    public SwitchParameter AllowShrink { get; set; }

    /// <summary>Emits the image.</summary>
    [Parameter]
    public SwitchParameter PassThru { get; set; }

    /// <inheritdoc/>
    protected override void Process(string image)
    {
        if (!ShouldProcess(image, $"Resize image to {Size} bytes"))
        {
            return;
        }

        Run(new ResizeImage { Path = image, Size = Size, Format = Format, Shrink = AllowShrink }, $"Resizing {image}");
        if (PassThru)
        {
            WriteImage(image, Format);
        }
    }
}

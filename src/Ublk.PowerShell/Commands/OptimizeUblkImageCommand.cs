using System.Management.Automation;
using Ublk.Files;
using Ublk.Images;

namespace Ublk.PowerShell.Commands;

/// <summary>Gives the room back that images do not need.</summary>
[Cmdlet(VerbsCommon.Optimize, "UblkImage", DefaultParameterSetName = "Path", SupportsShouldProcess = true)]
[OutputType(typeof(UblkImage))]
public sealed class OptimizeUblkImageCommand : UblkImagePathCommand
{
    /// <summary>The image's format, where how it begins is not to be trusted.</summary>
    [Parameter]
    public ImageFormat? Format { get; set; }

    /// <summary>Emits the image.</summary>
    [Parameter]
    public SwitchParameter PassThru { get; set; }

    /// <inheritdoc/>
    protected override void Process(string image)
    {
        if (!ShouldProcess(image, "Free unused space"))
        {
            return;
        }

        Run(new OptimizeImage { Path = image, Format = Format }, $"Optimizing {image}");
        if (PassThru)
        {
            WriteImage(image, Format);
        }
    }
}

using System.Management.Automation;
using Ublk.Files;
using Ublk.Images;

namespace Ublk.PowerShell.Commands;

/// <summary>Shows what images are like.</summary>
[Cmdlet(VerbsCommon.Get, "UblkImage", DefaultParameterSetName = "Path")]
[OutputType(typeof(UblkImage), typeof(ImageExtent))]
public sealed class GetUblkImageCommand : UblkImagePathCommand
{
    /// <summary>The image's format, where how it begins is not to be trusted.</summary>
    [Parameter]
    public ImageFormat? Format { get; set; }

    /// <summary>The format of backing files where the header does not name it.</summary>
    [Parameter]
    public ImageFormat? BackingFormat { get; set; }

    /// <summary>Shows the images behind it, too.</summary>
    [Parameter]
    public SwitchParameter Chain { get; set; }

    /// <summary>Shows where each range of the disk is instead.</summary>
    [Parameter]
    public SwitchParameter Map { get; set; }

    /// <inheritdoc/>
    protected override void Process(string image)
    {
        if (Map)
        {
            foreach (ImageExtent extent in ImageInspector.Map(image, Format, BackingFormat))
            {
                StopToken.ThrowIfCancellationRequested();
                WriteObject(extent);
            }
        }
        else if (Chain)
        {
            WriteObject(ImageInspector.InspectChain(image, Format, BackingFormat), enumerateCollection: true);
        }
        else
        {
            WriteImage(image, Format);
        }
    }
}

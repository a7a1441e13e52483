using System.Management.Automation;
using Ublk.Files;
using Ublk.Images;
using Ublk.Qcow2.Format;

namespace Ublk.PowerShell.Commands;

/// <summary>Writes the data of images into their backing files.</summary>
[Cmdlet(VerbsData.Merge, "UblkImage", DefaultParameterSetName = "Path", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.High)]
[OutputType(typeof(UblkImage))]
public sealed class MergeUblkImageCommand : UblkImagePathCommand
{
    /// <summary>The format of the backing file where the header does not name it.</summary>
    [Parameter]
    public ImageFormat? BackingFormat { get; set; }

    /// <summary>Returns the backing file.</summary>
    [Parameter]
    public SwitchParameter PassThru { get; set; }

    /// <inheritdoc/>
    protected override void Process(string image)
    {
        BackingName backing = MergeImage.BackingOf(image, BackingFormat);
        if (!ShouldProcess(image, $"Merge into {backing.Path}, which changes every other image that has it as its backing file"))
        {
            return;
        }

        Run(new MergeImage { Path = image, BackingFormat = BackingFormat }, $"Merging {image}");
        if (PassThru)
        {
            WriteImage(backing.Path, backing.Format);
        }
    }
}

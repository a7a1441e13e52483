using System.Management.Automation;
using Ublk.Files;
using Ublk.Images;

namespace Ublk.PowerShell.Commands;

/// <summary>Gives images another backing file, or none.</summary>
[Cmdlet(VerbsCommon.Set, "UblkImage", DefaultParameterSetName = "Path", SupportsShouldProcess = true)]
[OutputType(typeof(UblkImage))]
public sealed class SetUblkImageCommand : UblkImagePathCommand
{
    /// <summary>The new backing file; an empty string for none.</summary>
    [Parameter(Mandatory = true)]
    [AllowEmptyString]
    [ArgumentCompleter(typeof(ImagePathCompleter))]
    public string BackingPath { get; set; } = "";

    /// <summary>The format of the new backing file.</summary>
    [Parameter]
    public ImageFormat? BackingFormat { get; set; }

    /// <summary>Only changes the name in the header, for a backing file that was moved or renamed.</summary>
    [Parameter]
    public SwitchParameter HeaderOnly { get; set; }

    /// <summary>Returns the image.</summary>
    [Parameter]
    public SwitchParameter PassThru { get; set; }

    /// <inheritdoc/>
    protected override void Process(string image)
    {
        string? name = BackingPath.Length == 0 ? null : FilePaths.NameFrom(SessionState, image, BackingPath);
        if (!ShouldProcess(image, name is null ? "Remove the backing file" : $"Set the backing file to {name}"))
        {
            return;
        }

        Run(
            new RebaseImage { Path = image, BackingFile = name, BackingFormat = BackingFormat, HeaderOnly = HeaderOnly },
            $"Setting the backing file of {image}");
        if (PassThru)
        {
            WriteImage(image);
        }
    }
}

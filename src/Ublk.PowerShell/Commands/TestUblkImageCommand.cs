using System.Management.Automation;
using Ublk.Images;

namespace Ublk.PowerShell.Commands;

/// <summary>Checks images, and repairs them if that is wanted.</summary>
[Cmdlet(VerbsDiagnostic.Test, "UblkImage", DefaultParameterSetName = "Path", SupportsShouldProcess = true)]
[OutputType(typeof(ImageCheckResult))]
public sealed class TestUblkImageCommand : UblkImagePathCommand
{
    /// <summary>Repairs what is found.</summary>
    [Parameter]
    public SwitchParameter Repair { get; set; }

    /// <inheritdoc/>
    protected override void Process(string image)
    {
        bool repair = Repair && ShouldProcess(image, "Repair image");
        WriteObject(Run(new CheckImage { Path = image, Repair = repair }, $"Checking {image}"));
    }
}

using System.Management.Automation;
using Ublk.Images;

namespace Ublk.PowerShell.Commands;

/// <summary>Checks images, and repairs them if that is wanted.</summary>
[Cmdlet(VerbsDiagnostic.Test, "UblkImage", DefaultParameterSetName = "Path", SupportsShouldProcess = true)]
[OutputType(typeof(ImageCheckResult), typeof(bool))]
public sealed class TestUblkImageCommand : UblkImagePathCommand
{
    /// <summary>Repairs what is found.</summary>
    [Parameter]
    public SwitchParameter Repair { get; set; }

    /// <summary>Emits whether the image is sound now, in place of what was found.</summary>
    [Parameter]
    public SwitchParameter Quiet { get; set; }

    /// <inheritdoc/>
    protected override void Process(string image)
    {
        bool repair = Repair && ShouldProcess(image, "Repair image");
        ImageCheckResult? result = Run(new CheckImage { Path = image, Repair = repair }, $"Checking {image}");
        WriteObject(Quiet ? result?.Condition == ImageCondition.Clean : result);
    }
}

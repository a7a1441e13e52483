using System.Management.Automation;
using Ublk.Images;

namespace Ublk.PowerShell.Commands;

/// <summary>Checks images for corruptions and leaked clusters.</summary>
[Cmdlet(VerbsDiagnostic.Test, "UblkImage", DefaultParameterSetName = "Path")]
[OutputType(typeof(ImageCheckResult), typeof(bool))]
public sealed class TestUblkImageCommand : UblkImagePathCommand
{
    /// <summary>Returns true for an image without corruptions and leaks, else false.</summary>
    [Parameter]
    public SwitchParameter Quiet { get; set; }

    /// <inheritdoc/>
    protected override void Process(string image)
    {
        ImageCheckResult? result = (ImageCheckResult?)Run(new CheckImage { Path = image }, $"Checking {image}");
        WriteObject(Quiet ? result?.Condition == ImageCondition.Clean : result);
    }
}

using System.Management.Automation;
using Ublk.Images;

namespace Ublk.PowerShell.Commands;

/// <summary>Repairs images: corruptions and leaked clusters, or leaked clusters only.</summary>
[Cmdlet(VerbsDiagnostic.Repair, "UblkImage", DefaultParameterSetName = "Path", SupportsShouldProcess = true)]
[OutputType(typeof(ImageCheckResult))]
public sealed class RepairUblkImageCommand : UblkImagePathCommand
{
    /// <summary>Only frees leaked clusters. An image with corruptions is an error and stays as it is.</summary>
    [Parameter]
    public SwitchParameter LeaksOnly { get; set; }

    /// <inheritdoc/>
    protected override void Process(string image)
    {
        if (ShouldProcess(image, LeaksOnly ? "Free leaked clusters" : "Repair image"))
        {
            ImageRepair repair = LeaksOnly ? ImageRepair.Leaks : ImageRepair.All;
            WriteObject(Run(new CheckImage { Path = image, Repair = repair }, $"Repairing {image}"));
        }
    }
}

using System.Management.Automation;
using Ublk.Files;
using Ublk.Images;

namespace Ublk.PowerShell.Commands;

/// <summary>Compares the disks in two images.</summary>
[Cmdlet(VerbsData.Compare, "UblkImage")]
[OutputType(typeof(ImageComparison), typeof(bool))]
public sealed class CompareUblkImageCommand : UblkImageCommand
{
    /// <summary>The image.</summary>
    [Parameter(Mandatory = true, Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [Alias("PSPath", "FullName")]
    [ArgumentCompleter(typeof(ImagePathCompleter))]
    public string Path { get; set; } = "";

    /// <summary>The image to compare it with.</summary>
    [Parameter(Mandatory = true, Position = 1)]
    [ArgumentCompleter(typeof(ImagePathCompleter))]
    public string DifferencePath { get; set; } = "";

    /// <summary>The format of the image; by default it is detected.</summary>
    [Parameter]
    public ImageFormat? Format { get; set; }

    /// <summary>The format of the other image; by default it is detected.</summary>
    [Parameter]
    public ImageFormat? DifferenceFormat { get; set; }

    /// <summary>The format of backing files where a header does not name it.</summary>
    [Parameter]
    public ImageFormat? BackingFormat { get; set; }

    /// <summary>Returns true or false.</summary>
    [Parameter]
    public SwitchParameter Quiet { get; set; }

    /// <inheritdoc/>
    protected override void ProcessRecord() => Attempt(Path, () =>
    {
        CompareImage operation = new()
        {
            Path = FilePaths.ResolveExisting(SessionState, Path),
            Format = Format,
            Other = FilePaths.ResolveExisting(SessionState, DifferencePath),
            OtherFormat = DifferenceFormat,
            BackingFormat = BackingFormat,
        };
        ImageComparison comparison = (ImageComparison)Run(operation, $"Comparing {operation.Path}")!;
        WriteObject(Quiet ? comparison.Identical : comparison);
    });
}

using System.Management.Automation;
using Ublk.Files;
using Ublk.Images;

namespace Ublk.PowerShell.Commands;

/// <summary>Computes the space that a converted or a new image needs.</summary>
[Cmdlet(VerbsDiagnostic.Measure, "UblkImage", DefaultParameterSetName = "Path")]
[OutputType(typeof(ImageMeasurement))]
public sealed class MeasureUblkImageCommand : UblkImageCommand
{
    /// <summary>The image to convert.</summary>
    [Parameter(Mandatory = true, Position = 0, ParameterSetName = "Path", ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [Alias("PSPath", "FullName")]
    [ArgumentCompleter(typeof(ImagePathCompleter))]
    public string Path { get; set; } = "";

    /// <summary>The size in bytes of the disk in a new image.</summary>
    [Parameter(Mandatory = true, ParameterSetName = "Size")]
    public long Size { get; set; }

    /// <summary>The format of the image to convert; by default it is detected.</summary>
    [Parameter(ParameterSetName = "Path")]
    public ImageFormat? SourceFormat { get; set; }

    /// <summary>The format of backing files where a header does not name it.</summary>
    [Parameter(ParameterSetName = "Path")]
    public ImageFormat? BackingFormat { get; set; }

    /// <summary>The format of the new image.</summary>
    [Parameter]
    public ImageFormat Format { get; set; } = ImageFormat.Qcow2;

    /// <summary>Bytes of a cluster of the new image.</summary>
    [Parameter]
    [ArgumentCompleter(typeof(ImageOptionCompleter))]
    public int? ClusterSize { get; set; }

    /// <summary>Bits of a reference count of the new image.</summary>
    [Parameter]
    [ArgumentCompleter(typeof(ImageOptionCompleter))]
    public int? RefcountBits { get; set; }

    /// <inheritdoc/>
    protected override void ProcessRecord() => Attempt(Path, () => WriteObject(Run(
        new MeasureImage
        {
            Path = ParameterSetName == "Path" ? FilePaths.ResolveExisting(SessionState, Path) : "",
            Size = ParameterSetName == "Size" ? Size : null,
            SourceFormat = SourceFormat,
            BackingFormat = BackingFormat,
            Options = new NewImageOptions { Format = Format, ClusterSize = ClusterSize, RefcountBits = RefcountBits },
        },
        $"Measuring {Path}")));
}

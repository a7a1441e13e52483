using System.Management.Automation;
using Ublk.Files;
using Ublk.Images;

namespace Ublk.PowerShell.Commands;

/// <summary>Copies an image into a new one of another kind.</summary>
[Cmdlet(VerbsData.Convert, "UblkImage", SupportsShouldProcess = true)]
[OutputType(typeof(UblkImage))]
public sealed class ConvertUblkImageCommand : UblkNewImageCommand
{
    /// <summary>The image to copy.</summary>
    [Parameter(Mandatory = true, Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [Alias("PSPath", "FullName")]
    [ArgumentCompleter(typeof(ImagePathCompleter))]
    public string Path { get; set; } = "";

    /// <summary>The new image.</summary>
    [Parameter(Mandatory = true, Position = 1, ValueFromPipelineByPropertyName = true)]
    [Alias("DestinationPath")]
    [ArgumentCompleter(typeof(ImagePathCompleter))]
    public string Destination { get; set; } = "";

    /// <summary>The format of the image to copy, where how it begins is not to be trusted.</summary>
    [Parameter]
    public ImageFormat? SourceFormat { get; set; }

    /// <summary>The format of backing files where the header does not name it.</summary>
    [Parameter]
    public ImageFormat? BackingFormat { get; set; }

    /// <summary>The snapshot to copy, in the place of the disk as it is now.</summary>
    [Parameter]
    [ArgumentCompleter(typeof(SnapshotCompleter))]
    public string? Snapshot { get; set; }

    /// <summary>Compresses each cluster.</summary>
    [Parameter]
    public SwitchParameter Compress { get; set; }

    /// <inheritdoc/>
    protected override void ProcessRecord() => Attempt(Path, () =>
    {
        string source = FilePaths.ResolveExisting(SessionState, Path);
        string destination = FilePaths.Resolve(SessionState, Destination);
        if (!ShouldProcess(source, $"Convert image to {destination}"))
        {
            return;
        }

        ImageFormat format = Format ?? FormatOfName.Of(destination);
        Run(
            new ConvertImage
            {
                Path = source,
                SourceFormat = SourceFormat,
                BackingFormat = BackingFormat,
                Snapshot = Snapshot,
                Destination = destination,
                Options = Options(format),
                Compress = Compress,
                Force = Force,
            },
            $"Converting {source}");
        WriteImage(destination, format);
    });
}

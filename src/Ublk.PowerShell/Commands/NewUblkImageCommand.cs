using System.Management.Automation;
using Ublk.Files;
using Ublk.Images;

namespace Ublk.PowerShell.Commands;

/// <summary>Makes empty images.</summary>
[Cmdlet(VerbsCommon.New, "UblkImage", SupportsShouldProcess = true)]
[OutputType(typeof(UblkImage))]
public sealed class NewUblkImageCommand : UblkNewImageCommand
{
    /// <summary>The images to make.</summary>
    [Parameter(Mandatory = true, Position = 0, ValueFromPipeline = true)]
    [ArgumentCompleter(typeof(ImagePathCompleter))]
    public string[] Path { get; set; } = [];

    /// <summary>Size of the disk in bytes; by default that of the backing file.</summary>
    [Parameter(Position = 1)]
    public long? Size { get; set; }

    /// <summary>The image whose content shows where the new one has none.</summary>
    [Parameter]
    [ArgumentCompleter(typeof(ImagePathCompleter))]
    public string? BackingPath { get; set; }

    /// <summary>The backing file's format.</summary>
    [Parameter]
    public ImageFormat? BackingFormat { get; set; }

    /// <summary>How much of it has a place from the start.</summary>
    [Parameter]
    public ImagePreallocation Preallocation { get; set; }

    /// <summary>The file with the passphrase. The image is then encrypted with LUKS.</summary>
    [Parameter]
    public string? KeyFile { get; set; }

    /// <inheritdoc/>
    protected override void ProcessRecord()
    {
        foreach (string path in Path)
        {
            Attempt(path, () => Create(FilePaths.Resolve(SessionState, path)));
        }
    }

    private void Create(string path)
    {
        ImageFormat format = Format ?? FormatOfName.Of(path);
        CreateImage operation = new()
        {
            Path = path,
            Size = Size,
            Force = Force,
            Options = Options(format) with
            {
                BackingFile = BackingPath is null ? null : FilePaths.NameFrom(SessionState, path, BackingPath),
                BackingFormat = BackingFormat,
                Preallocation = Preallocation,
                KeyFile = KeyFile is null ? null : FilePaths.ResolveExisting(SessionState, KeyFile),
            },
        };
        if (ShouldProcess(path, $"Create {format} image"))
        {
            Run(operation, $"Creating {path}");
            WriteImage(path, format);
        }
    }
}

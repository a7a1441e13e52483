using System.Management.Automation;
using Ublk.Exports;
using Ublk.Files;

namespace Ublk.PowerShell.Commands;

/// <summary>Exports disks, images and snapshots over NBD.</summary>
[Cmdlet(VerbsCommon.New, "UblkExport", DefaultParameterSetName = "Path", SupportsShouldProcess = true)]
[OutputType(typeof(UblkExport))]
public sealed class NewUblkExportCommand : UblkCommand
{
    /// <summary>The images or block devices; wildcards are expanded.</summary>
    [Parameter(Mandatory = true, Position = 0, ParameterSetName = "Path", ValueFromPipeline = true)]
    [ArgumentCompleter(typeof(ImagePatternCompleter))]
    [SupportsWildcards]
    public string[] Path { get; set; } = [];

    /// <summary>The images or block devices, taken as they are. The path of an object in the pipeline comes here.</summary>
    [Parameter(Mandatory = true, ParameterSetName = "LiteralPath", ValueFromPipelineByPropertyName = true)]
    [Alias("PSPath", "FullName", "DevicePath")]
    [ArgumentCompleter(typeof(ImagePathCompleter))]
    public string[] LiteralPath { get; set; } = [];

    /// <summary>The export's name; by default that of the file, without its extension.</summary>
    [Parameter]
    [NoScriptBlock]
    public string? Name { get; set; }

    /// <summary>The image's format; by default what its content shows.</summary>
    [Parameter]
    public ImageFormat? Format { get; set; }

    /// <summary>The format of the backing file where the image does not name it.</summary>
    [Parameter]
    public ImageFormat? BackingFormat { get; set; }

    /// <summary>The id or name of an internal snapshot to export in the place of the disk.</summary>
    [Parameter]
    [ArgumentCompleter(typeof(SnapshotCompleter))]
    public string? Snapshot { get; set; }

    /// <summary>The file with the passphrase of an encrypted image.</summary>
    [Parameter]
    public string? KeyFile { get; set; }

    /// <summary>Lets clients write.</summary>
    [Parameter]
    public SwitchParameter Writable { get; set; }

    /// <summary>The Unix socket; by default one in the state directory.</summary>
    [Parameter]
    public string? Socket { get; set; }

    /// <summary>The TCP port in the place of a Unix socket.</summary>
    [Parameter]
    public int? Port { get; set; }

    /// <summary>The address to listen at; 127.0.0.1 by default.</summary>
    [Parameter]
    public string? Address { get; set; }

    /// <summary>A folder with server-cert.pem and server-key.pem. Clients must then use TLS.</summary>
    [Parameter]
    public string? TlsCertificates { get; set; }

    /// <inheritdoc/>
    protected override void ProcessRecord()
    {
        foreach (string path in Path)
        {
            Attempt(path, () =>
            {
                foreach (string file in FilePaths.Expand(SessionState, path))
                {
                    Attempt(file, () => Export(file));
                }
            });
        }

        foreach (string path in LiteralPath)
        {
            Attempt(path, () => Export(FilePaths.ResolveExisting(SessionState, path)));
        }
    }

    private void Export(string file)
    {
        ExportSpecification specification = Specify(file);
        specification.Validate();
        if (!ShouldProcess(file, $"Export at {specification.Uri}"))
        {
            return;
        }

        WithProgress($"Exporting {file}", step =>
        {
            step($"Starting a worker for export {specification.Name}.");
            UblkExport export = ExportManager.Start(specification, WorkerDirectory, WriteWarning, StopToken);
            WriteObject(export);
        });
    }

    private ExportSpecification Specify(string file)
    {
        if (Socket is not null && (Port ?? (object?)Address) is not null)
        {
            throw new UblkException(UblkError.InvalidArgument, "-Socket excludes -Port and -Address.");
        }

        if (Address is not null && Port is null)
        {
            throw new UblkException(UblkError.InvalidArgument, "-Address needs a port. Add -Port 10809.");
        }

        string name = Name ?? ExportSpecification.NameFor(file);
        ExportSpecification specification = new()
        {
            Name = name,
            Path = file,
            Format = Format,
            BackingFormat = BackingFormat,
            Snapshot = Snapshot,
            KeyFile = KeyFile is null ? null : FilePaths.ResolveExisting(SessionState, KeyFile),
            Writable = Writable,
            SocketPath = Port is not null ? null
                : Socket is null ? ExportManager.DefaultSocket(name) : FilePaths.Resolve(SessionState, Socket),
            Port = Port ?? 0,
            TlsCertificates = TlsCertificates is null ? null : FilePaths.ResolveExisting(SessionState, TlsCertificates),
        };
        return Address is null ? specification : specification with { Address = Address };
    }
}

using System.Management.Automation;
using Ublk.Devices;
using Ublk.Files;
using Ublk.Images;
using Ublk.Launching;

namespace Ublk.PowerShell.Commands;

/// <summary>Makes backups of disks in use, all of one instant.</summary>
[Cmdlet(VerbsData.Backup, "UblkDevice", DefaultParameterSetName = "Id", SupportsShouldProcess = true)]
[OutputType(typeof(UblkDevice))]
public sealed class BackupUblkDeviceCommand : UblkDeviceGroupCommand
{
    /// <summary>The new image of each disk, in the order of the disks; or a folder for all.</summary>
    [Parameter(Mandatory = true, Position = 1)]
    [Alias("Destination")]
    [ValidateNotNullOrEmpty]
    [ArgumentCompleter(typeof(ImagePathCompleter))]
    public string[] DestinationPath { get; set; } = [];

    /// <summary>The format of the images. By default it follows from the extension of their names.</summary>
    [Parameter]
    public ImageFormat? Format { get; set; }

    /// <summary>Compresses each cluster.</summary>
    [Parameter]
    public SwitchParameter Compress { get; set; }

    /// <summary>The persistent bitmap in the image of each disk that has the changes since the last backup.</summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    [ArgumentCompleter(typeof(DeviceBitmapCompleter))]
    public string? Bitmap { get; set; }

    /// <summary>The last backup of each disk, in the order of the disks; or a folder with all. What has changed since is copied.</summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    [ArgumentCompleter(typeof(ImagePathCompleter))]
    public string[]? BackingPath { get; set; }

    /// <summary>The format of the last backups. By default it follows from the extension of their names.</summary>
    [Parameter]
    public ImageFormat? BackingFormat { get; set; }

    /// <summary>Freezes the file systems on the disks at the instant.</summary>
    [Parameter]
    public SwitchParameter Freeze { get; set; }

    /// <summary>Replaces files that are there.</summary>
    [Parameter]
    public SwitchParameter Force { get; set; }

    /// <inheritdoc/>
    protected override string Action => "Back up ublk device";

    /// <inheritdoc/>
    private protected override string PathParameter => nameof(DestinationPath);

    /// <inheritdoc/>
    private protected override IEnumerable<string> PathsFor(IReadOnlyList<int> ids) => PathsFor(ids, DestinationPath);

    private IEnumerable<string> PathsFor(IReadOnlyList<int> ids, string[] given)
    {
        string[] paths = [.. given.Select(path => FilePaths.Resolve(SessionState, path))];
        return paths is [var folder] && Directory.Exists(folder)
            ? ids.Select(id => System.IO.Path.Combine(folder, NameFor(id)))
            : paths;
    }

    // Named as what it is. What is behind the disk may have no path.
    private string NameFor(int id)
    {
        string? former = DeviceInventory.Find(id)?.BackingPath;
        string name = System.IO.Path.IsPathRooted(former) ? System.IO.Path.GetFileName(former) : $"ublkb{id}.img";
        return Format is { } format && format != FormatOfName.Of(name)
            ? System.IO.Path.ChangeExtension(name, format == ImageFormat.Qcow2 ? ".qcow2" : ".img")
            : name;
    }

    /// <inheritdoc/>
    private protected override void Apply(IReadOnlyList<(int Id, string Path)> disks, Action<string> step)
    {
        string[] former = BackingPath is null ? [] : [.. PathsFor([.. disks.Select(disk => disk.Id)], BackingPath)];
        RequireFormer(former, disks.Count);
        DeviceBackup.Run(
            [.. disks.Select((disk, index) => new BackupRequest(disk.Id, disk.Path, Format ?? FormatOfName.Of(disk.Path))
            {
                Compress = Compress,
                Force = Force,
                Bitmap = Bitmap,
                BackingPath = BackingPath is null ? null : former[index],
                BackingFormat = BackingPath is null ? default : FormatOf(former[index]),
            })],
            Freeze, WorkerDirectory, step, ShowPercent, StopToken);
    }

    private void RequireFormer(string[] former, int count)
    {
        if (BackingPath is not null && Bitmap is null)
        {
            throw new UblkException(UblkError.InvalidArgument,
                "Without a bitmap it is not known what has changed since the last backup. Give its name with -Bitmap, or omit "
                    + "-BackingPath.");
        }

        if (BackingPath is not null && former.Length != count)
        {
            throw new UblkException(UblkError.InvalidArgument,
                $"Each disk needs its own last backup: give {count} paths with -BackingPath, or a folder.");
        }
    }

    // The writer of a raw disk decides how it begins, so that alone does not count.
    private ImageFormat FormatOf(string former)
    {
        ImageFormat named = FormatOfName.Of(former);
        return BackingFormat ?? (ImageInspector.Inspect(former, null).Format == named
            ? named
            : throw new UblkException(UblkError.InvalidArgument,
                $"{former} does not have the format that its name stands for. Give the format with -BackingFormat."));
    }
}

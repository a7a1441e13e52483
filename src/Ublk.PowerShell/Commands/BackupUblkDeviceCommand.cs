using System.Management.Automation;
using Ublk.Devices;
using Ublk.Files;
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
    private protected override IEnumerable<string> PathsFor(IReadOnlyList<int> ids)
    {
        string[] paths = [.. DestinationPath.Select(path => FilePaths.Resolve(SessionState, path))];
        return paths is [var folder] && Directory.Exists(folder)
            ? ids.Select(id => System.IO.Path.Combine(folder, NameFor(DeviceInventory.Find(id)?.BackingPath ?? "")))
            : paths;
    }

    // Named as what it is.
    private string NameFor(string former)
    {
        string name = System.IO.Path.GetFileName(former);
        return Format is { } format && format != FormatOfName.Of(name)
            ? System.IO.Path.ChangeExtension(name, format == ImageFormat.Qcow2 ? ".qcow2" : ".img")
            : name;
    }

    /// <inheritdoc/>
    private protected override void Apply(IReadOnlyList<(int Id, string Path)> disks, Action<string> step) => DeviceBackup.Run(
        [.. disks.Select(disk => new BackupRequest(disk.Id, disk.Path, Format ?? FormatOfName.Of(disk.Path))
        {
            Compress = Compress,
            Force = Force,
        })],
        Freeze, step, ShowPercent, StopToken);
}

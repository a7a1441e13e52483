using System.Management.Automation;
using Ublk.Devices;
using Ublk.Files;
using Ublk.Launching;
using Ublk.Targets;

namespace Ublk.PowerShell.Commands;

/// <summary>Moves disks in use to another place.</summary>
[Cmdlet(VerbsCommon.Move, "UblkDevice", DefaultParameterSetName = "Id", SupportsShouldProcess = true)]
[OutputType(typeof(UblkDevice))]
public sealed class MoveUblkDeviceCommand : UblkDeviceCommand, IDynamicParameters
{
    private RuntimeDefinedParameterDictionary _targetParameters = [];

    /// <summary>The new file, an existing folder, in which it gets the name of the former, or a block device.</summary>
    [Parameter(Position = 1, ValueFromPipelineByPropertyName = true)]
    [Alias("Destination")]
    [ArgumentCompleter(typeof(ImagePathCompleter))]
    public string? DestinationPath { get; set; }

    /// <summary>The format of the new file. By default it follows from the extension of its name.</summary>
    [Parameter]
    public ImageFormat? Format { get; set; }

    /// <summary>The target of a disk that is not a file, in place of a path.</summary>
    [Parameter]
    [ArgumentCompleter(typeof(DestinationTargetCompleter))]
    public string? Target { get; set; }

    /// <summary>Overwrites a block device, or the disk of a target, without asking.</summary>
    [Parameter]
    public SwitchParameter Force { get; set; }

    /// <summary>Keeps the disk in both places, until -Complete or -Undo.</summary>
    [Parameter]
    public SwitchParameter Mirror { get; set; }

    /// <summary>Ends a mirror: the disk is in the new place alone.</summary>
    [Parameter]
    public SwitchParameter Complete { get; set; }

    /// <summary>Ends a mirror: the disk is in the former place alone.</summary>
    [Parameter]
    public SwitchParameter Undo { get; set; }

    /// <inheritdoc/>
    protected override string Action => (Complete, Undo) switch
    {
        ({ IsPresent: true }, _) => "End the mirror, and keep the new place",
        (_, { IsPresent: true }) => "End the mirror, and keep the former place",
        _ => $"{(Mirror ? "Mirror" : "Move")} the disk to {DestinationPath ?? $"a disk of the target {Target}"}",
    };

    /// <inheritdoc/>
    public object GetDynamicParameters() => _targetParameters = TargetParameters.Of(FindTarget(), GetType());

    /// <inheritdoc/>
    protected override void Apply(int id, Action<string> step)
    {
        if (Complete || Undo)
        {
            End(id, step);
        }
        else
        {
            Move(id, step);
        }

        WriteDevice(id);
    }

    private void End(int id, Action<string> step)
    {
        if ((Complete && Undo) || Mirror || DestinationPath is not null || Target is not null)
        {
            throw new UblkException(UblkError.InvalidArgument,
                $"-Complete and -Undo each end a mirror, and go with nothing else: Move-UblkDevice {id} -Complete.",
                operation: "move", deviceId: id);
        }

        DeviceMove.End(id, Undo ? 0 : 1, step, StopToken);
    }

    private void Move(int id, Action<string> step)
    {
        MoveDestination destination = FindDestination(id);
        if (destination.NewFormat is null && !Force && !Asks(
            $"Moving /dev/ublkb{id} overwrites {destination.Name}. Continue?",
            () => new UblkException(UblkError.PathExists,
                $"Moving /dev/ublkb{id} overwrites {destination.Name}. If its content is not needed any more, add -Force.",
                operation: "move", deviceId: id)))
        {
            return;
        }

        foreach (string warning in DeviceMove.Run(id, destination, Mirror, WorkerDirectory, step, ShowPercent, StopToken))
        {
            WriteWarning(warning);
        }
    }

    private TargetDefinition? FindTarget() => KnownTargets.Destinations.FirstOrDefault(
        target => string.Equals(target.Name, Target, StringComparison.OrdinalIgnoreCase));

    private MoveDestination FindDestination(int id)
    {
        switch (DestinationPath, Target)
        {
            case ({ } given, null):
                string path = FilePaths.Resolve(SessionState, given);
                if (Directory.Exists(path) && DeviceInventory.Find(id)?.BackingPath is { } former)
                {
                    path = System.IO.Path.Combine(path, System.IO.Path.GetFileName(former));
                }

                return MoveDestination.At(path, Format ?? FormatOfName.Of(path));
            case (null, { } name):
                TargetDefinition target = FindTarget() ?? throw new UblkException(UblkError.InvalidArgument,
                    $"A disk cannot be moved to the target {name}. Choose one of: "
                        + $"{string.Join(", ", KnownTargets.Destinations.Select(target => target.Name))}, or give the path of a "
                        + $"file or block device: Move-UblkDevice {id} -DestinationPath new.img.",
                    operation: "move", deviceId: id);
                Dictionary<string, string> options =
                    TargetParameters.Read(_targetParameters, value => FilePaths.Resolve(SessionState, value));
                target.CheckOptions(options);
                return MoveDestination.Of(target.Name, options);
            default:
                throw new UblkException(UblkError.InvalidArgument,
                    $"Give either a path or a target: Move-UblkDevice {id} -DestinationPath new.img, or Move-UblkDevice {id} -Target Nbd "
                        + "-Uri nbd://HOST/EXPORT.",
                    operation: "move", deviceId: id);
        }
    }
}

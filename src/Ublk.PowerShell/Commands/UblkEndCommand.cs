using System.Management.Automation;
using System.Management.Automation.Host;
using Ublk.Devices;

namespace Ublk.PowerShell.Commands;

/// <summary>What the cmdlets have in common that take a disk away: they ask before they take one that is in use or not ours.</summary>
public abstract class UblkEndCommand : UblkDeviceCommand
{
    private bool _yesToAll;
    private bool _noToAll;

    /// <summary>Does not ask. Takes disks that are mounted, held or open, and devices of other servers.</summary>
    [Parameter]
    public SwitchParameter Force { get; set; }

    /// <inheritdoc/>
    protected override void Apply(int id, Action<string> step)
    {
        if (!Force && DeviceInventory.Find(id) is { IsComplete: true, Target: null, ProcessId: { } server }
            && !Asks(
                $"/dev/ublkb{id} belongs to another server, process {server}. {Action} {id}?",
                () => new UblkException(UblkError.DeviceForeign,
                    $"Device {id} belongs to another server, process {server}. Use its own tools, or {Command(id)} -Force.", deviceId: id)))
        {
            return;
        }

        try
        {
            End(id, Force, step);
        }
        catch (UblkException exception) when (exception.Error == UblkError.DeviceInUse && !Force)
        {
            if (Asks($"{exception.Message} {Action} {id} all the same?", () => exception))
            {
                End(id, force: true, step);
            }
        }
    }

    /// <summary>Does it to one device.</summary>
    /// <param name="id">The device.</param>
    /// <param name="force">Whether to do it although the disk is in use, and to kill a worker that hangs.</param>
    /// <param name="step">Called with a sentence for each step.</param>
    protected abstract void End(int id, bool force, Action<string> step);

    /// <summary>The command line for one device, for messages.</summary>
    private string Command(int id) => $"{MyInvocation.MyCommand.Name} {id}";

    // A host without a user cannot ask: then the refusal is the error.
    private bool Asks(string question, Func<UblkException> refusal)
    {
        try
        {
            return ShouldContinue(question, Action, ref _yesToAll, ref _noToAll);
        }
        catch (Exception exception) when (exception is HostException or PSInvalidOperationException)
        {
            throw refusal();
        }
    }
}

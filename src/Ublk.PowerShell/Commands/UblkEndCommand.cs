using System.Management.Automation;

namespace Ublk.PowerShell.Commands;

/// <summary>What the cmdlets have in common that take a disk away: they ask before they take one that is in use.</summary>
public abstract class UblkEndCommand : UblkDeviceCommand
{
    /// <summary>Does not ask.</summary>
    [Parameter]
    public SwitchParameter Force { get; set; }

    /// <inheritdoc/>
    protected override void Apply(int id, Action<string> step)
    {
        try
        {
            End(id, Force, step);
        }
        catch (UblkException exception) when (exception.Error == UblkError.DeviceInUse && !Force)
        {
            EndIfWanted(id, exception, step);
        }
    }

    /// <summary>Asks whether to do it to a disk that is in use.</summary>
    /// <param name="id">The device.</param>
    /// <param name="inUse">The error that names the users.</param>
    /// <param name="step">Called with a sentence for each step.</param>
    private protected void EndIfWanted(int id, UblkException inUse, Action<string> step)
    {
        if (Asks($"{inUse.Message} {Action} {id} anyway?", () => inUse))
        {
            End(id, force: true, step);
        }
    }

    /// <summary>Does it to one device.</summary>
    /// <param name="id">The device.</param>
    /// <param name="force">Whether to do it although the disk is in use, and to kill a worker that hangs.</param>
    /// <param name="step">Called with a sentence for each step.</param>
    protected abstract void End(int id, bool force, Action<string> step);
}

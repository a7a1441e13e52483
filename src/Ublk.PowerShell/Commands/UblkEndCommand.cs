using System.Management.Automation;
using System.Management.Automation.Host;

namespace Ublk.PowerShell.Commands;

/// <summary>What the cmdlets have in common that take a disk away: they ask before they take one that is in use.</summary>
public abstract class UblkEndCommand : UblkDeviceCommand
{
    private bool _yesToAll;
    private bool _noToAll;

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
            if (Asks($"{exception.Message} {Action} {id} anyway?", () => exception))
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

    /// <summary>Asks the user.</summary>
    /// <param name="question">The question.</param>
    /// <param name="refusal">The error where no user can answer.</param>
    /// <returns>Whether the answer is yes.</returns>
    private protected bool Asks(string question, Func<UblkException> refusal)
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

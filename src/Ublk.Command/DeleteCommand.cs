using System.CommandLine;
using Ublk.Lifecycle;

namespace Ublk.CommandLine;

/// <summary><c>ublk del</c>: deletes devices, in use or not, of any server.</summary>
internal static class DeleteCommand
{
    /// <summary>The command.</summary>
    public static Command Create()
    {
        Command command = new("del", "Deletes devices, even if they are in use.");
        DeviceSelection devices = new(command, "All devices, those of other servers included.");
        Option<bool> noWait = new("--async") { Description = "Return as soon as the disk is gone, while the worker still ends." };
        command.Options.Add(noWait);
        command.SetAction(result =>
        {
            using Interruption interruption = new();
            return devices.ForEach(result, _ => true, id => Delete(id, result.GetValue(noWait), result, interruption.Token));
        });
        return command;
    }

    // As with the reference server, a device that is not there is worth a message and no failure: scripts clean up with this command.
    private static void Delete(int id, bool noWait, ParseResult result, CancellationToken cancellation)
    {
        try
        {
            DeviceRemover.Remove(id, force: true, noWait, step: null, cancellation);
        }
        catch (UblkException exception) when (exception.Error == UblkError.DeviceNotFound)
        {
            result.InvocationConfiguration.Error.WriteLine($"ublk: {ErrorText.Of(exception)}");
        }
    }
}

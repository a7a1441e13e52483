using System.CommandLine;
using Ublk.Devices;
using Ublk.Lifecycle;

namespace Ublk.CommandLine;

/// <summary><c>ublk del</c>: deletes devices, in use or not, of any server.</summary>
internal static class DeleteCommand
{
    /// <summary>The command.</summary>
    public static Command Create()
    {
        Option<int?> number = DeviceOption.Create("The device to delete.");
        Option<bool> all = new("--all", "-a") { Description = "Delete all devices." };
        Option<bool> noWait = new("--async") { Description = "Return as soon as the disk is gone, while the worker still ends." };
        Command command = new("del", "Deletes devices, even if they are in use.") { number, all, noWait };
        command.Validators.Add(result =>
        {
            if (result.GetValue(number) is null == !result.GetValue(all))
            {
                result.AddError("give either -n DEV_ID or -a");
            }
        });
        command.SetAction(result =>
        {
            DeviceInventory.RequireDriver();
            using Interruption interruption = new();
            TextWriter error = result.InvocationConfiguration.Error;
            IEnumerable<int> ids = result.GetValue(number) is { } id ? [id] : DeviceInventory.List().Select(device => device.Id);
            bool[] deleted = [.. ids.Select(each => TryDelete(each, result.GetValue(noWait), error, interruption.Token))];
            return deleted.All(done => done) ? ExitCode.Done : ExitCode.Failed;
        });
        return command;
    }

    // As with the reference server, a device that is not there is worth a message and no failure: scripts clean up with this command.
    private static bool TryDelete(int id, bool noWait, TextWriter error, CancellationToken cancellation)
    {
        try
        {
            DeviceRemover.Remove(id, force: true, noWait, step: null, cancellation);
            return true;
        }
        catch (UblkException exception)
        {
            error.WriteLine($"ublk: {ErrorText.Of(exception)}");
            return exception.Error == UblkError.DeviceNotFound;
        }
    }
}

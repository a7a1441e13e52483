using System.CommandLine;
using Ublk.Devices;
using Ublk.Launching;
using Ublk.Lifecycle;
using Ublk.Specification;

namespace Ublk.CommandLine;

/// <summary><c>ublk add</c>: makes a device.</summary>
internal static class AddCommand
{
    // How often a command in the foreground looks whether its device is still there.
    private static readonly TimeSpan s_pollInterval = TimeSpan.FromSeconds(1);

    /// <summary>The command.</summary>
    public static Command Create()
    {
        Option<bool> foreground = new("--foreground") { Description = "Stay until the device is deleted; Ctrl+C deletes it." };
        Option<bool> quiet = new("--quiet") { Description = "Print nothing but errors and warnings." };
        Command command = new("add", "Makes a device.");
        foreach (Option option in (IEnumerable<Option>)[.. DeviceArguments.All, foreground, quiet,
            .. TargetArgument.All.Select(argument => argument.Option), .. NbdArgument.All, .. RefusedOption.All])
        {
            command.Options.Add(option);
        }

        command.SetAction(result =>
        {
            DeviceSpecification specification = DeviceArguments.Read(result);
            DeviceInventory.RequireDriver();
            using Interruption interruption = new();
            LaunchResult launched = DeviceLauncher.Start(specification, WorkerFolder.Path, step: null, interruption.Token);
            if (result.GetValue(quiet))
            {
                LaunchOutput.WriteWarnings(result, launched);
            }
            else
            {
                LaunchOutput.Write(result, launched, asJson: false);
            }

            if (result.GetValue(foreground))
            {
                Await(launched.Device, interruption.Token);
            }

            return ExitCode.Done;
        });
        return command;
    }

    // The worker serves by itself; this process only stands for the device, for a script or a supervisor.
    private static void Await(UblkDevice device, CancellationToken stop)
    {
        ulong cookie = device.Cookie!.Value;
        while (DeviceIdentity.Exists(device.Id, cookie))
        {
            if (stop.WaitHandle.WaitOne(s_pollInterval))
            {
                DeviceIdentity.RequireSame(device.Id, cookie);
                DeviceRemover.Remove(device.Id, force: true, noWait: false, step: null, CancellationToken.None);
                return;
            }
        }
    }
}

using System.CommandLine;
using Ublk.Devices;
using Ublk.Launching;
using Ublk.Specification;

namespace Ublk.CommandLine;

/// <summary><c>ublk recover</c>: gives a device that has lost its worker, or was suspended or stopped, a new one.</summary>
internal static class RecoverCommand
{
    private static readonly DeviceState[] s_states = [DeviceState.Suspended, DeviceState.Stopped, DeviceState.Crashed];

    /// <summary>The command.</summary>
    public static Command Create()
    {
        Option<int?> number = DeviceOption.Create("The device to recover.", required: true);
        Option<bool> verbose = new("--verbose", "-v") { Description = "Print the device as JSON." };
        Command command = new("recover", "Starts a new worker for a device that has none.") { number, verbose };
        command.SetAction(result =>
        {
            using Interruption interruption = new();
            UblkDevice device = DeviceOption.Find(result.GetRequiredValue(number)!.Value);

            // A disk without recovery ends with its worker: what is made again would be another one.
            if (device is { State: DeviceState.Crashed, Recovery: RecoveryMode.None })
            {
                throw new UblkException(UblkError.DeviceStateInvalid,
                    $"Device {device.Id} was added without recovery, so its disk ended with its worker. Delete it: ublk del -n {device.Id}",
                    deviceId: device.Id);
            }

            LaunchResult launched =
                DeviceLauncher.Restart(device.Id, s_states, acceptFiles: false, WorkerFolder.Path, step: null, interruption.Token);
            LaunchOutput.Write(result, launched, result.GetValue(verbose));
            return ExitCode.Done;
        });
        return command;
    }
}

using System.CommandLine;
using Ublk.Devices;
using Ublk.Launching;
using Ublk.Lifecycle;

namespace Ublk.CommandLine;

/// <summary><c>ublk update</c>: replaces the workers of live devices, such as after an upgrade, while requests wait.</summary>
internal static class UpdateCommand
{
    /// <summary>The command.</summary>
    public static Command Create()
    {
        Command command = new("update", "Replaces the workers of live devices, while requests wait.");
        DeviceSelection devices = new(command, "All devices that workers serve.");
        command.SetAction(result =>
        {
            using Interruption interruption = new();
            return devices.ForEach(result, device => device is { State: DeviceState.Live, Target: not null }, id =>
            {
                DeviceSuspender.Suspend(id, step: null, interruption.Token);
                LaunchOutput.WriteWarnings(result, DeviceLauncher.Restart(
                    id, [DeviceState.Suspended], acceptFiles: false, WorkerFolder.Path, step: null, interruption.Token));
            });
        });
        return command;
    }
}

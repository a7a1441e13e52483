using Ublk.Control;
using Ublk.Devices;
using Ublk.Launching;
using Ublk.Lifecycle;
using Ublk.Registration;
using Ublk.Specification;
using Ublk.Workers;

namespace Ublk.Worker;

/// <summary>A registered device: made as its file says, and served until it is removed. It is what the unit runs.</summary>
internal static class DeviceAttachment
{
    /// <summary>Makes the device and stays as long as it is served.</summary>
    /// <param name="file">The device's specification.</param>
    /// <returns>The exit code.</returns>
    public static int Run(string file)
    {
        DeviceSpecification specification = DeviceRegistrar.Read(file);
        ProcessSettings.Apply();
        int worker = 0;
        LaunchResult result = Launch(specification, (chosen, channel) => new StartedWorker(worker = Self.StartWorker(chosen, channel)));
        foreach (string warning in result.Warnings)
        {
            Console.Error.WriteLine(warning);
        }

        ServiceNotification.Ready(result.Device.DevicePath);
        using DeviceSupervisor supervisor = new(result.Device.Id, result.Device.Cookie);
        return supervisor.Watch(worker, specification.AutoRestart, keeps: true);
    }

    // What a former run left: it may be served still, clients may wait for it, or it is only in the way. A disk that was made by hand and
    // has taken the name is left alone, whatever its state; to make the device then fails.
    private static LaunchResult Launch(DeviceSpecification specification, Func<DeviceSpecification, string, StartedWorker> startWorker)
    {
        using ControlDevice control = new();
        if (DeviceRegistrar.FindDevice(specification.Name!) is { } left && IsRegistered(left, specification))
        {
            DriverState state = DeviceTransitions.AwaitServerGone(control, left.Id, CancellationToken.None);
            if (state == DriverState.Live)
            {
                return new LaunchResult(left, []);
            }

            if (DeviceTransitions.Waiting.Contains(state))
            {
                return DeviceLauncher.Restart(left.Id, DeviceTransitions.Waiting, startWorker, _ => { }, CancellationToken.None);
            }

            if (state == DriverState.Dead)
            {
                DeviceRemover.Remove(control, left.Id, force: true, noWait: false, step: null, CancellationToken.None);
            }
        }

        return DeviceLauncher.Start(control, specification, startWorker, _ => { }, CancellationToken.None);
    }

    private static bool IsRegistered(UblkDevice device, DeviceSpecification specification) =>
        device.Target == specification.Target
        && device.Options.GetValueOrDefault(DeviceSpecification.BackingPathOption) == specification.BackingPath;
}

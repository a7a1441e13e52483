using System.Runtime.InteropServices;
using System.Text.Json;
using Ublk.Control;
using Ublk.Devices;
using Ublk.Interop;
using Ublk.Launching;
using Ublk.Lifecycle;
using Ublk.Processes;
using Ublk.Workers;

namespace Ublk.Worker;

/// <summary>
/// Starts a device that another process serves, and removes it when that process lets go of this one's standard input or dies.
/// The server must not do either: see BlockDevice.
/// </summary>
internal static class DeviceGuard
{
    /// <summary>Starts the device, says so, and stays until it is to be removed.</summary>
    /// <param name="id">The device.</param>
    /// <param name="serverId">The process that serves it.</param>
    /// <returns>The exit code.</returns>
    public static int Run(int id, int serverId)
    {
        // The end of its input shows that the server ended. Ctrl+C for the server must not reach this process.
        Daemon.LeaveSession();
        using PosixSignalRegistration terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Ignore);
        using PosixSignalRegistration interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Ignore);
        using PosixSignalRegistration hangUp = PosixSignalRegistration.Create(PosixSignal.SIGHUP, Ignore);
        ulong? cookie = null;
        try
        {
            cookie = Start(id, serverId);
            Report(new WorkerReport { Stage = WorkerStage.Ready });
        }
        catch (UblkException exception)
        {
            Report(new WorkerReport { Stage = WorkerStage.Failed, Failure = WorkerFailure.From(exception) });
        }

        AwaitEndOfInput();
        if (cookie is { } known && DeviceIdentity.Exists(id, known))
        {
            DeviceRemover.Remove(id, force: true, noWait: true, step: null, CancellationToken.None);
        }

        return ExitCode.Done;
    }

    private static ulong Start(int id, int serverId)
    {
        using ControlDevice control = new();
        ulong cookie = control.GetInfo(id).ServerCookie;
        Deadline deadline = new(WorkerTimeouts.Start);
        try
        {
            control.Start(id, serverId, WorkerTimeouts.Start);
            DeviceTransitions.AwaitBlockDevice(id, what =>
            {
                if (!ProcessStatus.IsAlive(serverId))
                {
                    throw new UblkException(UblkError.WorkerDied, $"The process that serves device {id} ended before the device was live.",
                        operation: "start", deviceId: id);
                }

                if (deadline.IsOver)
                {
                    throw new UblkException(UblkError.TimedOut,
                        $"The process that serves device {id} did not let this one {what} within {WorkerTimeouts.Start.TotalSeconds} s.",
                        Libc.ETIMEDOUT, "start", id);
                }
            });
            return cookie;
        }
        catch
        {
            // The server's queues end when it is stopped.
            DeviceRemover.Remove(id, force: true, noWait: true, step: null, CancellationToken.None);
            throw;
        }
    }

    private static void Report(WorkerReport report)
    {
        try
        {
            Console.WriteLine(JsonSerializer.Serialize(report, LaunchJson.Default.WorkerReport));
        }
        catch (IOException)
        {
            // The server is dead, which the end of the input shows as well.
        }
    }

    private static void AwaitEndOfInput()
    {
        using Stream input = Console.OpenStandardInput();
        while (input.ReadByte() >= 0)
        {
        }
    }

    private static void Ignore(PosixSignalContext context) => context.Cancel = true;
}

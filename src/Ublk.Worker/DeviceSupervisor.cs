using System.Globalization;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Ublk.Control;
using Ublk.Devices;
using Ublk.Interop;
using Ublk.Launching;
using Ublk.Lifecycle;
using Ublk.Logging;
using Ublk.Workers;

namespace Ublk.Worker;

/// <summary>Keeps a device served: the parent of its worker, which starts another when one dies.</summary>
/// <remarks>
/// A process that only waits, so that what kills a worker does not reach it. It ends with the device, or once that needs no worker. SIGTERM
/// removes the device, whether a worker serves it at that moment or not.
/// </remarks>
internal sealed class DeviceSupervisor : IDisposable
{
    // A worker that dies at once, again and again, is not worth an eleventh.
    private const int MaxFailures = 10;

    private const string CleanExit = "exit code 0";

    private static readonly TimeSpan FirstDelay = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan MaxDelay = TimeSpan.FromSeconds(10);

    // How often the main process of a unit looks at least whether its device, which others serve, is still there.
    private static readonly TimeSpan MaxPollInterval = TimeSpan.FromSeconds(1);

    // A worker that lived this long has shown that it can.
    private static readonly TimeSpan ProbationTime = TimeSpan.FromSeconds(1);

    private readonly int _id;
    private readonly Log _log;
    private readonly CancellationTokenSource _stop = new();
    private ulong? _cookie;
    private int _worker;

    /// <summary>A supervisor of one device.</summary>
    /// <param name="id">The device.</param>
    /// <param name="cookie">Its cookie; null where the worker is yet to be started, which leaves it in the record.</param>
    public DeviceSupervisor(int id, ulong? cookie = null)
    {
        _id = id;
        _cookie = cookie;
        _log = new Log(id);
    }

    /// <summary>Starts the first worker and stays until the device needs none any more.</summary>
    /// <param name="arguments">The worker's arguments.</param>
    /// <returns>The exit code.</returns>
    public int Run(string[] arguments)
    {
        Daemon.LeaveSession();
        ProcessSettings.Apply();
        int worker = Self.Start([WorkerArguments.Serve, .. arguments]);
        Daemon.CloseStandardStreams();
        return Watch(worker, restores: true, keeps: false);
    }

    /// <summary>Stays with a worker, a child of this process, until its device needs none any more.</summary>
    /// <param name="worker">The worker's process id; 0 where another process serves the device.</param>
    /// <param name="restores">Whether the device gets another worker when this one dies.</param>
    /// <param name="keeps">
    /// Whether to stay as long as the device is there, when it is stopped, suspended or served by others too. So the unit of a registered
    /// device is active until the device is removed, and stopping the unit removes it.
    /// </param>
    /// <returns>The exit code.</returns>
    public int Watch(int worker, bool restores, bool keeps)
    {
        _worker = worker;
        using PosixSignalRegistration terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, PassOn);
        using PosixSignalRegistration hangUp = PosixSignalRegistration.Create(PosixSignal.SIGHUP, context => context.Cancel = true);
        int code = worker == 0 ? ExitCode.Done : WatchWorkers(restores);
        if (keeps && code == ExitCode.Done && Exists())
        {
            Resign();
            for (TimeSpan glance = TimeSpan.FromMilliseconds(10); !_stop.Token.WaitHandle.WaitOne(glance) && Exists();)
            {
                glance = TimeSpan.FromTicks(long.Min(MaxPollInterval.Ticks, glance.Ticks * 2));
            }
        }

        return _stop.IsCancellationRequested ? RemoveLeft() : code;
    }

    private int WatchWorkers(bool restores)
    {
        int failures = 0;
        while (true)
        {
            long start = Environment.TickCount64;
            string exit = AwaitWorker();

            // A worker ends by itself only when somebody has removed, stopped or suspended its device.
            if (exit == CleanExit)
            {
                return ExitCode.Done;
            }

            if (!restores)
            {
                return ExitCode.Unavailable;
            }

            failures = Environment.TickCount64 - start > (long)ProbationTime.TotalMilliseconds ? 0 : failures + 1;
            bool isServed = false;
            while (!isServed)
            {
                if (!IsWaiting())
                {
                    return ExitCode.Done;
                }

                if (failures == MaxFailures)
                {
                    _log.Write(LogLevel.Critical, $"device {_id} is not restarted any more. To try again: Start-UblkDevice {_id}");
                    return ExitCode.Unavailable;
                }

                isServed = TryRestart(failures, exit);
                failures += isServed ? 0 : 1;
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _stop.Dispose();

    // The device that this process was started for, even if its id was reused. The driver keeps the id of one that was deleted while its
    // disk has users.
    private bool Exists()
    {
        try
        {
            return _cookie is { } cookie && DeviceInventory.HasCharDevice(_id) && DeviceIdentity.Exists(_id, cookie);
        }
        catch (UblkException)
        {
            return false;
        }
    }

    // A worker that lives removes its device by itself. One that died before, or did not serve it yet, leaves it.
    private int RemoveLeft()
    {
        try
        {
            if (Exists())
            {
                DeviceRemover.Remove(_id, force: true, noWait: false, step: null, CancellationToken.None);
            }

            return ExitCode.Done;
        }
        catch (UblkException exception)
        {
            _log.Write(LogLevel.Error, $"device {_id} could not be removed: {exception.Message}");
            return ExitCode.Unavailable;
        }
    }

    // No command should wait for this process: it neither removes nor restores the device.
    private void Resign() => ChangeRecord(record => record.SupervisorId == Environment.ProcessId
        ? record with { SupervisorId = 0, SupervisorStartTicks = 0 }
        : record);

    // The worker answers by removing its device.
    private void PassOn(PosixSignalContext context)
    {
        context.Cancel = true;
        _stop.Cancel();
        if (_worker > 0)
        {
            _ = Libc.Kill(_worker, Libc.SIGTERM);
        }
    }

    private string AwaitWorker()
    {
        (int signal, int exitCode) = Libc.WaitPid(_worker);
        _worker = 0;
        if (_cookie is null && StateDirectory.Own.TryRead(_id) is { } record && record.SupervisorId == Environment.ProcessId)
        {
            _cookie = record.Specification.Cookie;
        }

        return signal == 0
            ? string.Create(CultureInfo.InvariantCulture, $"exit code {exitCode}")
            : Enum.IsDefined((Signal)signal)
                ? ((Signal)signal).ToString()
                : string.Create(CultureInfo.InvariantCulture, $"signal {signal}");
    }

    // Not when somebody removed or stopped the device, or serves it already.
    private bool IsWaiting()
    {
        if (_stop.IsCancellationRequested || !Exists())
        {
            return false;
        }

        try
        {
            using ControlDevice control = new();
            return DeviceTransitions.Waiting.Contains(DeviceTransitions.AwaitServerGone(control, _id, _stop.Token));
        }
        catch (Exception exception) when (exception is UblkException or OperationCanceledException)
        {
            return false;
        }
    }

    private bool TryRestart(int failures, string exit)
    {
        TimeSpan delay = TimeSpan.FromTicks(long.Min(MaxDelay.Ticks, FirstDelay.Ticks << failures));
        if (_stop.Token.WaitHandle.WaitOne(delay) || !IsWaiting())
        {
            return false;
        }

        _log.Write(LogLevel.Warning, $"device {_id} is restarted: its worker ended ({exit})");
        CountRestart(exit);
        try
        {
            DeviceLauncher.Restart(_id, DeviceTransitions.Waiting,
                (specification, channel) => new StartedWorker(_worker = Self.StartWorker(specification, channel)),
                _ => { }, _stop.Token);
            return true;
        }
        catch (Exception exception) when (exception is UblkException or OperationCanceledException)
        {
            _log.Write(LogLevel.Error, $"device {_id} could not be restarted: {exception.Message}");
            if (_worker > 0)
            {
                AwaitWorker();
            }

            return false;
        }
    }

    private void CountRestart(string exit) => ChangeRecord(record => record with { Restarts = record.Restarts + 1, LastExit = exit });

    private void ChangeRecord(Func<DeviceRecord, DeviceRecord> change)
    {
        if (_cookie is not { } cookie)
        {
            return;
        }

        try
        {
            StateDirectory.Own.Change(_id, cookie, change, _stop.Token);
        }
        catch (Exception exception) when (exception is UblkException or OperationCanceledException)
        {
            _log.Write(LogLevel.Warning, exception.Message);
        }
    }

    /// <summary>Signals that end a process, as signal(7) numbers them on x86 and ARM.</summary>
    private enum Signal
    {
        SIGHUP = 1,
        SIGINT = 2,
        SIGQUIT = 3,
        SIGILL = 4,
        SIGABRT = 6,
        SIGBUS = 7,
        SIGFPE = 8,
        SIGKILL = 9,
        SIGUSR1 = 10,
        SIGSEGV = 11,
        SIGUSR2 = 12,
        SIGPIPE = 13,
        SIGALRM = 14,
        SIGTERM = 15,
    }
}

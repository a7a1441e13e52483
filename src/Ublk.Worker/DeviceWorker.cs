using System.Globalization;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Ublk.Control;
using Ublk.Counters;
using Ublk.Devices;
using Ublk.Files;
using Ublk.Interop;
using Ublk.Launching;
using Ublk.Lifecycle;
using Ublk.Live;
using Ublk.Logging;
using Ublk.Processes;
using Ublk.Qcow2.Compression;
using Ublk.Serving;
using Ublk.Specification;
using Ublk.Targets;
using Ublk.Workers;

namespace Ublk.Worker;

/// <summary>The life of one worker: open the target, add the device, serve it, clean up.</summary>
internal sealed class DeviceWorker
{
    private readonly LaunchChannel _launcher;
    private readonly LaunchKind _kind;
    private readonly DeviceSpecification _specification;
    private readonly Log _log;
    private readonly int _id;
    private readonly List<string> _commands = [];
    private int _removal;
    private int _adoption;

    private DeviceWorker(LaunchChannel launcher, LaunchOrder order)
    {
        _launcher = launcher;
        _kind = order.Kind;
        _specification = order.Specification;
        _id = _specification.Id!.Value;
        _log = new Log(_id);
    }

    /// <summary>Serves the device a launcher asks for, until somebody stops it.</summary>
    /// <param name="channel">The launcher's channel.</param>
    /// <returns>The exit code.</returns>
    public static int Serve(string channel)
    {
        Daemon.LeaveSession();
        ProcessSettings.Apply();
        using LaunchChannel launcher = LaunchChannel.Connect(channel);
        Daemon.CloseStandardStreams();
        LaunchOrder? order = launcher.ReceiveOrder();
        return order is null ? ExitCode.Unavailable : new DeviceWorker(launcher, order).Run();
    }

    /// <summary>Stops and deletes a device, in a process of its own.</summary>
    /// <remarks>It does not wait for the worker, which waits for it.</remarks>
    public static void Remove(int id) => DeviceRemover.Remove(id, force: true, noWait: true, step: null, CancellationToken.None);

    private int Run()
    {
        ControlTrace.Listener = _commands.Add;
        try
        {
            ClusterCodec.AddZstd(new ZstdCodec());
            DeviceRecord? former = _kind == LaunchKind.New ? null : StateDirectory.Own.TryRead(_id);
            RequireSameFiles(FileIdentity.Of(former?.BackingPath), former);
            DiskHost host = new(_log, AdoptSize, Abort);
            OpenedDisk disk = OpenDisk(host, former) with { Mirror = former?.Mirror?.Interrupt() };
            bool isFinished;
            try
            {
                RequireSameFiles(disk.File, former);
                Report(WorkerStage.Opened);
                using CounterMemory counters = CreateCounters(disk.Target);
                host.Counters = counters;
                using DeviceServer server = DeviceServer.Create(
                    _kind, _specification, disk.Target, counters, () => Report(WorkerStage.Added), Abort);
                LiveDisk live = new(disk, server.Switch, host);
                using (LiveListener? listener = Listen(live))
                {
                    WriteRecord(disk, server, former);
                    Serve(server, disk);
                }

                server.Dispose();
                disk = live.Disk;
                isFinished = Finish(disk.Target);
            }
            finally
            {
                disk.Target.Dispose();
            }

            AwaitRemoval();
            if (!DeviceIdentity.Exists(_id, _specification.Cookie))
            {
                DeleteSymlink();

                // The removing command has yet to read the failure, and deletes the record then.
                if (isFinished)
                {
                    StateDirectory.Own.Delete(_id, _specification.Cookie);
                }
            }

            return isFinished ? ExitCode.Done : ExitCode.Software;
        }
        catch (Exception exception)
        {
            _log.Write(LogLevel.Error, $"device {_id} could not be served: {exception.Message}");
            if (_kind == LaunchKind.New)
            {
                StateDirectory.Own.Delete(_id, _specification.Cookie);
            }

            Report(new WorkerReport { Stage = WorkerStage.Failed, Failure = WorkerFailure.From(exception) });
            return ExitCode.Unavailable;
        }
    }

    private OpenedDisk OpenDisk(DiskHost host, DeviceRecord? former)
    {
        using OpeningProgress progress =
            new(() => _launcher.SendReport(new WorkerReport { Stage = WorkerStage.Opening }), WorkerTimeouts.ProgressInterval);
        return host.Open(_kind, _specification, former);
    }

    // Without it the disk is served all the same.
    private LiveListener? Listen(LiveDisk disk)
    {
        try
        {
            return new LiveListener(
                StateDirectory.Own.Listen(_id, _specification.Cookie), disk,
                message => _log.Write(LogLevel.Information, $"device {_id}: {message}"));
        }
        catch (UblkException exception)
        {
            _log.Write(LogLevel.Warning, exception.Message);
            return null;
        }
    }

    private CounterMemory CreateCounters(BlockTarget target)
    {
        int threads = _specification.QueueCount * _specification.ThreadsPerQueue;
        try
        {
            using SafeFileHandle file = StateDirectory.Own.CreateCounters(_id, CounterHeader.Of(_specification.Cookie, threads));
            return new CounterMemory(file, threads, target.Counters);
        }
        catch (UblkException exception) when (_kind == LaunchKind.Recover)
        {
            // The disk's users wait, and go without.
            _log.Write(LogLevel.Warning, exception.Message);
            return new CounterMemory(null, threads, []);
        }
    }

    // The disk's users go on with what they know of it. Where somebody else may rename, its path could lead to any file by now. Asked
    // before it is opened, since that may mend an image, and after, since only an open file stays the same.
    private void RequireSameFiles(FileIdentity? backing, DeviceRecord? former)
    {
        if (_kind != LaunchKind.Recover || former is null)
        {
            return;
        }

        RequireSameFile(former.BackingPath, backing, former.BackingFile);
        foreach ((string path, OverlayIdentity overlay) in former.Overlays)
        {
            RequireSameFile(path, FileIdentity.Of(path), overlay.File);
        }
    }

    private void RequireSameFile(string? path, FileIdentity? found, FileIdentity? served)
    {
        if (found is { } file && served is { } recorded && !file.Matches(recorded))
        {
            throw new UblkException(UblkError.InvalidBackingFile,
                $"{path} is not the file that device {_id} served: it was moved, removed or replaced. Put it back, or remove the device. "
                    + $"If it is the right one (some file systems assign new inode numbers on each mount): Start-UblkDevice {_id} "
                    + "-AcceptFile",
                operation: "recover", deviceId: _id);
        }
    }

    private void WriteRecord(OpenedDisk disk, DeviceServer server, DeviceRecord? former)
    {
        int supervisor = _specification.AutoRestart ? Libc.GetParentProcessId() : 0;
        try
        {
            StateDirectory.Own.Write(disk.Describe(new DeviceRecord
            {
                WorkerVersion = EngineVersion.Text,
                Specification = _specification,
                ProcessId = Environment.ProcessId,
                SupervisorId = supervisor,
                SupervisorStartTicks = supervisor == 0 ? 0 : ProcessStatus.StartTicksOf(supervisor),
                Restarts = former?.Restarts ?? 0,
                LastExit = former?.LastExit,
                StartTime = DateTime.UtcNow,
                Queues = [.. server.Threads.Select(thread => new QueueInfo(thread.QueueId, thread.ThreadId, $"{thread.Cpus}"))],
            }));
        }
        catch (UblkException exception) when (_kind == LaunchKind.Recover && former is not null)
        {
            // The disk's users wait, and the former record still says how to serve it.
            _log.Write(LogLevel.Warning, exception.Message);
        }
    }

    private void Serve(DeviceServer server, OpenedDisk disk)
    {
        using PosixSignalRegistration terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, RemoveOnSignal);
        using PosixSignalRegistration interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, RemoveOnSignal);
        using PosixSignalRegistration hangUp = PosixSignalRegistration.Create(PosixSignal.SIGHUP, context => context.Cancel = true);
        Report(new WorkerReport { Stage = WorkerStage.Ready, Warnings = [.. disk.Options.Warnings] });
        ControlTrace.Listener = null;
        if (_launcher.ReceiveApproval() || (_kind == LaunchKind.Recover && IsLive()))
        {
            _log.Write(LogLevel.Information,
                $"device {_id} is live: {_specification.Target} {disk.Target.BackingPath} {disk.Target.Geometry.Size} bytes");
            ProgramText.Forget();
        }
        else
        {
            Forsake();
        }

        server.WaitForEnd();
        _log.Write(LogLevel.Information, $"device {_id} has ended");
    }

    // Leaves a failure in the record, for the command that removes the device.
    private bool Finish(BlockTarget target)
    {
        try
        {
            target.Finish();
            return true;
        }
        catch (Exception exception)
        {
            _log.Write(LogLevel.Error, $"device {_id}: {exception.Message}");
            if (StateDirectory.Own.TryRead(_id) is { } record && record.Specification.Cookie == _specification.Cookie)
            {
                StateDirectory.Own.Write(record with { Failure = exception.Message });
            }

            return false;
        }
    }

    private void RemoveOnSignal(PosixSignalContext context)
    {
        context.Cancel = true;
        _log.Write(LogLevel.Information, $"device {_id} is removed on {context.Signal}");
        try
        {
            StartRemoval();
        }
        catch (UblkException exception)
        {
            // Without the process that removes it, the device is served on.
            _log.Write(LogLevel.Error, $"device {_id} is not removed: {exception.Message}");
        }
    }

    // Once the driver has ended the recovery the disk's users go on, even if the launcher is gone.
    private bool IsLive()
    {
        using ControlDevice control = new();
        return control.TryGetInfo(_id, out UblkDeviceInfo info) >= 0
            && info.ServerCookie == _specification.Cookie && info.State == (ushort)DriverState.Live;
    }

    // A new device without a launcher is removed; one that was there before is left to the next worker.
    private void Forsake()
    {
        if (_kind != LaunchKind.New)
        {
            _log.Write(LogLevel.Warning, $"device {_id} is left without a worker: its launcher has ended");
            Environment.Exit(ExitCode.Unavailable);
        }

        _log.Write(LogLevel.Warning, $"device {_id} is removed: its launcher has ended");
        StartRemoval();
    }

    // Not from this process: see DeviceServer.
    private void StartRemoval() => _removal = Self.Start(WorkerArguments.Remove, _id.ToString(CultureInfo.InvariantCulture));

    // Not by this process either. At most one is left to be reaped.
    private unsafe void AdoptSize()
    {
        if (_adoption != 0)
        {
            _ = Libc.WaitPid(_adoption);
            _adoption = 0;
        }

        try
        {
            _adoption = Self.Start(WorkerArguments.AdoptSize, _id.ToString(CultureInfo.InvariantCulture));
        }
        catch (UblkException exception)
        {
            _log.Write(LogLevel.Warning, exception.Message);
        }
    }

    // A service manager would kill it with the worker, and the stopped device would stay.
    private unsafe void AwaitRemoval()
    {
        if (_removal != 0)
        {
            _ = Libc.WaitPid(_removal);
        }
    }

    // The command that deleted the device may not know of it.
    private void DeleteSymlink()
    {
        using ControlDevice control = new();
        DeviceSymlink.Delete(control, _id, _specification.Cookie);
    }

    private void Report(WorkerStage stage) => Report(new WorkerReport { Stage = stage });

    private void Report(WorkerReport report)
    {
        _launcher.SendReport(report with { Commands = [.. _commands] });
        _commands.Clear();
    }

    // The kernel frees the device's requests when the process is gone; a process without one of its queues would hold them.
    private void Abort(Exception exception)
    {
        _log.Write(LogLevel.Critical, $"device {_id} failed: {exception.Message}");
        _launcher.SendReport(new WorkerReport { Stage = WorkerStage.Failed, Failure = WorkerFailure.From(exception) });
        Environment.Exit(ExitCode.Software);
    }
}

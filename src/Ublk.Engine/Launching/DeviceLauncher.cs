using System.Net.Sockets;
using System.Security.Cryptography;
using Microsoft.Win32.SafeHandles;
using Ublk.Control;
using Ublk.Devices;
using Ublk.Files;
using Ublk.Interop;
using Ublk.Lifecycle;
using Ublk.Processes;
using Ublk.Registration;
using Ublk.Specification;
using Ublk.Workers;

namespace Ublk.Launching;

/// <summary>A device that was just made.</summary>
/// <param name="Device">The device, live.</param>
/// <param name="Warnings">Warnings for the user.</param>
internal sealed record LaunchResult(UblkDevice Device, IReadOnlyList<string> Warnings);

/// <summary>Makes devices: starts a worker for each and sees it through until its disk can be used.</summary>
internal static class DeviceLauncher
{
    private static readonly DriverState[] s_unserved = [DriverState.Dead, DriverState.Quiesced, DriverState.FailIo];

    /// <summary>Makes a device and returns when its block device is there and opens.</summary>
    /// <param name="specification">What is wanted; it was checked.</param>
    /// <param name="workerDirectory">The module's folder of worker programs.</param>
    /// <param name="step">Called with a sentence for each step, on the calling thread.</param>
    /// <param name="cancellation">Gives up and undoes what was done.</param>
    /// <exception cref="UblkException">It could not be made; nothing of it is left.</exception>
    /// <exception cref="OperationCanceledException">It was given up; nothing of it is left.</exception>
    public static LaunchResult Start(
        DeviceSpecification specification, string workerDirectory, Action<string>? step, CancellationToken cancellation)
    {
        if (specification.Unprivileged)
        {
            UdevRules.RequireInstalled();
        }

        WorkerProgram program = WorkerProgram.Locate(workerDirectory, specification);
        using ControlDevice control = new();
        return Start(control, specification, program.Start, step ?? (_ => { }), cancellation);
    }

    /// <summary>Starts a device through an open control node, with a function that starts the worker.</summary>
    internal static LaunchResult Start(
        ControlDevice control, DeviceSpecification specification, Func<DeviceSpecification, string, StartedWorker> startWorker,
        Action<string> step, CancellationToken cancellation)
    {
        HashSet<int> taken = [];
        while (true)
        {
            if (specification.Name is { } name)
            {
                DeviceSymlink.RequireFree(control, name, null);
            }

            using SafeFileHandle idLock = specification.Id is { } wanted
                ? DeviceIds.Lock(control, wanted, cancellation)
                : DeviceIds.LockFree(control, taken, out wanted);
            int id = wanted;

            // Of a device that another program deleted.
            DeviceSymlink.Delete(id);
            DeviceSpecification chosen = specification with
            {
                Id = id,
                Cookie = BitConverter.ToUInt64(RandomNumberGenerator.GetBytes(sizeof(ulong))),
            };
            using Launch launch = new(control, LaunchKind.New, chosen, startWorker, idLock, step, cancellation);
            try
            {
                return launch.Run();
            }
            catch (UblkException exception)
                when (exception.Error == UblkError.DeviceIdInUse && specification.Id is null && taken.Add(id))
            {
                // Another server took the id between the look and the worker's ADD_DEV.
            }
        }
    }

    /// <summary>Starts a new worker for a device without a server, as its record describes it.</summary>
    /// <param name="id">The device.</param>
    /// <param name="from">The states it may be in.</param>
    /// <param name="acceptFiles">
    /// Whether the files that the record's paths lead to are the right ones, although they look like others.
    /// </param>
    /// <param name="workerDirectory">The module's folder of worker programs.</param>
    /// <param name="step">Called with a sentence for each step, on the calling thread.</param>
    /// <param name="cancellation">Gives up; the device stays as it was.</param>
    /// <exception cref="UblkException">It is served, or not ours, or cannot be served; it stays as it was.</exception>
    /// <exception cref="OperationCanceledException">It was given up; the device stays as it was.</exception>
    public static LaunchResult Restart(
        int id, IReadOnlyCollection<DeviceState> from, bool acceptFiles, string workerDirectory, Action<string>? step,
        CancellationToken cancellation)
    {
        WorkerProgram.Locate(workerDirectory);
        RequireState(id, from, cancellation);
        if (acceptFiles)
        {
            AcceptFiles(id, cancellation);
        }

        return RestartedBySupervisor(id, step, cancellation) is { } device
            ? new LaunchResult(device, [])
            : Restart(id, s_unserved, (specification, channel) =>
                WorkerProgram.Locate(workerDirectory, specification).Start(specification, channel),
                step ?? (_ => { }), cancellation);
    }

    /// <summary>Starts a device with a function that starts the worker from the specification and the name of the channel.</summary>
    internal static LaunchResult Restart(
        int id, IReadOnlyCollection<DriverState> from, Func<DeviceSpecification, string, StartedWorker> startWorker,
        Action<string> step, CancellationToken cancellation)
    {
        using ControlDevice control = new();
        return Restart(control, id, from, startWorker, step, cancellation);
    }

    /// <summary>Starts a device through an open control node.</summary>
    internal static LaunchResult Restart(
        ControlDevice control, int id, IReadOnlyCollection<DriverState> from, Func<DeviceSpecification, string, StartedWorker> startWorker,
        Action<string> step, CancellationToken cancellation)
    {
        using SafeFileHandle idLock = StateDirectory.Own.LockDevice(id, cancellation);
        DriverState state = DeviceTransitions.AwaitServerGone(control, id, cancellation);
        DeviceRecord record = DeviceTransitions.RecordOf(control, id);
        if (!from.Contains(state))
        {
            throw DeviceTransitions.WrongState(id, DeviceStates.Of(state, record));
        }

        LaunchKind kind = state == DriverState.Dead ? LaunchKind.Start : LaunchKind.Recover;
        if (kind == LaunchKind.Start)
        {
            RequireReleased(id);
        }

        using Launch launch = new(control, kind, record.Specification, startWorker, idLock, step, cancellation);
        return launch.Run();
    }

    private static void RequireState(int id, IReadOnlyCollection<DeviceState> from, CancellationToken cancellation)
    {
        using ControlDevice control = new();
        DeviceRecord record = DeviceTransitions.RecordOf(control, id);
        DeviceState state = DeviceStates.Of(DeviceTransitions.AwaitServerGone(control, id, cancellation), record);
        if (!from.Contains(state))
        {
            throw DeviceTransitions.WrongState(id, state);
        }
    }

    // The driver keeps the id of a disk that is gone as long as somebody holds it. The device could not be made anew under it, and would be
    // lost.
    private static void RequireReleased(int id)
    {
        if ((DeviceUsers.Find(id) ?? DeviceUsers.FindElsewhere(id)) is { } users)
        {
            throw new UblkException(UblkError.DeviceInUse,
                $"The disk of device {id} is gone, but still {users}. Unmount or close it first, then start it: Start-UblkDevice {id}",
                Libc.EBUSY, "start", id);
        }
    }

    // In the record, so that the supervisor accepts them too.
    private static void AcceptFiles(int id, CancellationToken cancellation)
    {
        using ControlDevice control = new();
        using SafeFileHandle idLock = StateDirectory.Own.LockDevice(id, cancellation);
        StateDirectory.Own.Write(DeviceTransitions.RecordOf(control, id).AcceptFiles());
    }

    // Two that restart one device would only be in each other's way.
    private static UblkDevice? RestartedBySupervisor(int id, Action<string>? step, CancellationToken cancellation)
    {
        using ControlDevice control = new();
        DeviceRecord record = DeviceTransitions.RecordOf(control, id);
        bool isWaiting = DeviceTransitions.Waiting.Contains(DeviceTransitions.AwaitServerGone(control, id, cancellation));
        if (!isWaiting || !record.IsSupervised)
        {
            return null;
        }

        step?.Invoke($"Waiting for the supervisor of device {id}, process {record.SupervisorId}.");
        Deadline deadline = new(WorkerTimeouts.Start);
        while (record.IsSupervised && !deadline.IsOver)
        {
            using (SafeFileHandle? idLock = StateDirectory.Own.TryLockDevice(id))
            {
                // It is at work, which may take as long as opening what is behind the disk does.
                if (idLock is null)
                {
                    deadline.Restart();
                }
            }

            if (DeviceInventory.Find(control, id) is { State: DeviceState.Live } device)
            {
                return device;
            }

            cancellation.ThrowIfCancellationRequested();
            Thread.Sleep(20);
        }

        return null;
    }

    /// <summary>One attempt at one id.</summary>
    private sealed class Launch(
        ControlDevice control, LaunchKind kind, DeviceSpecification specification,
        Func<DeviceSpecification, string, StartedWorker> startWorker, SafeFileHandle idLock, Action<string> step,
            CancellationToken cancellation) : IDisposable
    {
        // If the worker was killed early, udev may not have set the node's owner yet, and until then the owner has no access.
        private static readonly TimeSpan NodeTimeout = TimeSpan.FromSeconds(3);

        private readonly int _id = specification.Id!.Value;
        private readonly Deadline _deadline = new(WorkerTimeouts.Start);
        private LaunchChannel? _channel;
        private int? _workerId;

        // Once the driver has given a waiting device to its new worker, that serves requests and is not taken away again.
        private bool _isServed;

        public LaunchResult Run()
        {
            try
            {
                step($"Starting a worker for device {_id}.");
                Connect();
                _channel!.SendOrder(new LaunchOrder(kind, specification));
                IReadOnlyList<string> warnings = AwaitReady();
                step($"Starting device {_id}.");
                return kind == LaunchKind.Recover ? Recover(warnings) : StartDisk(warnings);
            }
            catch (SocketException)
            {
                Undo();
                throw Died();
            }
            catch
            {
                Undo();
                throw;
            }
        }

        public void Dispose() => _channel?.Dispose();

        private LaunchResult StartDisk(IReadOnlyList<string> warnings)
        {
            control.Start(_id, _workerId!.Value, _deadline.Left);

            // From here on, other launchers that wait for this device see that it is served.
            idLock.Dispose();
            DeviceTransitions.AwaitBlockDevice(_id, what =>
            {
                CheckTime(what);
                CheckWorker();
            });
            CreateSymlink(cancellation);
            UblkDevice device = DeviceInventory.Find(control, _id) ?? throw Died();
            _channel!.SendApproval();
            step($"{device.DevicePath} is ready.");
            return new LaunchResult(device, warnings);
        }

        // The disk is there, and its users go on as soon as the driver has ended the recovery. That cannot be undone: the worker is
        // approved of at once, and what goes wrong after is no reason to end it.
        private LaunchResult Recover(IReadOnlyList<string> warnings)
        {
            try
            {
                control.EndRecovery(_id, _workerId!.Value, _deadline.Left);
            }
            catch (UblkException) when (IsServedByWorker())
            {
                // The answer came too late; the driver has done it.
            }

            _isServed = true;
            idLock.Dispose();
            _channel!.SendApproval();
            try
            {
                CreateSymlink(CancellationToken.None);
            }
            catch (UblkException exception)
            {
                warnings = [.. warnings, $"Device {_id} is live, but its name could not be created: {exception.Message}"];
            }

            UblkDevice device = DeviceInventory.Find(control, _id) ?? throw Died();
            step($"{device.DevicePath} is ready.");
            return new LaunchResult(device, warnings);
        }

        private bool IsServedByWorker() => control.TryGetInfo(_id, out UblkDeviceInfo info) >= 0
            && info.State == (ushort)DriverState.Live && info.ServerCookie == specification.Cookie && info.ServerPid == _workerId;

        private void Connect()
        {
            using Socket listener = LaunchChannel.Listen(out string name);
            using StartedWorker worker = startWorker(specification, name);
            _workerId = worker.ProcessId;
            while ((_channel = LaunchChannel.TryAccept(listener, LaunchChannel.PollInterval)) is null)
            {
                CheckTime("call its launcher");
                if (worker.IsDead)
                {
                    throw Died(worker.Process?.ReadComplaint());
                }
            }

            _workerId = _channel.PeerProcessId;
        }

        private IReadOnlyList<string> AwaitReady()
        {
            while (true)
            {
                WorkerReport? report = _channel!.ReceiveReport(_deadline, () => CheckTime("get ready"));
                foreach (string command in report?.Commands ?? [])
                {
                    ControlTrace.Listener?.Invoke($"worker: {command}");
                }

                switch (report?.Stage)
                {
                    case WorkerStage.Opening:
                        break;
                    case WorkerStage.Opened:
                        step($"The worker, process {_workerId}, has opened the target.");
                        break;
                    case WorkerStage.Added:
                        step($"The driver has assigned device {_id} to the worker.");
                        break;
                    case WorkerStage.Ready:
                        return report.Warnings;
                    case WorkerStage.Failed:
                        throw Explain(report.Failure!);
                    default:
                        throw Died();
                }
            }
        }

        // The worker knows only that the file is locked. The records name the device that holds it.
        private UblkException Explain(WorkerFailure failure)
        {
            UblkDevice? owner = failure.Error == UblkError.BackingFileInUse && FileIdentity.Of(specification.BackingPath) is { } file
                ? DeviceInventory.List().FirstOrDefault(device => device.BackingFile is { } served && file.Matches(served))
                : null;
            return owner is null
                ? failure.ToException()
                : (failure with { Message = $"In use by {owner.DevicePath}: {failure.Message}" }).ToException();
        }

        private void CreateSymlink(CancellationToken giveUp)
        {
            if (specification.Name is { } name)
            {
                using SafeFileHandle nameLock = StateDirectory.Own.LockNames(giveUp);
                DeviceSymlink.Create(control, name, _id);
            }
        }

        private void CheckTime(string what)
        {
            cancellation.ThrowIfCancellationRequested();
            if (_deadline.IsOver)
            {
                throw new UblkException(UblkError.TimedOut,
                    $"The worker of device {_id} did not {what} within {WorkerTimeouts.Start.TotalSeconds} s without progress, so it was "
                        + $"stopped. Its log may show the cause: Get-UblkLog {_id}, or journalctl -t ublk", Libc.ETIMEDOUT, "start", _id);
            }
        }

        private void CheckWorker()
        {
            if (!ProcessStatus.IsAlive(_workerId!.Value))
            {
                throw Died();
            }
        }

        private UblkException Died(string? complaint = null) => new(UblkError.WorkerDied,
            $"The worker of device {_id} ended before the device was live. "
                + (string.IsNullOrEmpty(complaint)
                    ? $"Its log may show the cause: Get-UblkLog {_id}, or journalctl -t ublk"
                    : $"It reported: {complaint}"),
            operation: "start", deviceId: _id);

        // A device that was there before stays, to be tried again. The cookie distinguishes our half-made device from one that
        // another server may have made under the same id.
        private void Undo()
        {
            if (_isServed)
            {
                return;
            }

            if (_workerId is { } pid)
            {
                _ = Libc.Kill(pid, Libc.SIGKILL);
                ProcessStatus.AwaitDeath(pid, WorkerTimeouts.Start);
            }

            if (kind != LaunchKind.New)
            {
                return;
            }

            if (control.AwaitInfo(_id, NodeTimeout, out UblkDeviceInfo info) >= 0 && info.ServerCookie == specification.Cookie)
            {
                try
                {
                    control.Stop(_id, WorkerTimeouts.Start);
                    DeviceSymlink.Delete(_id);
                    control.Delete(_id, WorkerTimeouts.Start);
                }
                catch (UblkException exception)
                {
                    step($"Device {_id} could not be removed again: {exception.Message}");
                }
            }

            StateDirectory.Own.Delete(_id, specification.Cookie);
        }
    }
}

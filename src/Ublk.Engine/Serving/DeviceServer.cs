using Microsoft.Win32.SafeHandles;
using Ublk.Control;
using Ublk.Counters;
using Ublk.Interop;
using Ublk.Io;
using Ublk.Specification;
using Ublk.Targets;

namespace Ublk.Serving;

/// <summary>One device and the threads that serve it, from its creation to the end of its last queue.</summary>
/// <remarks>
/// A server never starts, stops or deletes its own live device. Those commands wait for requests that its threads answer;
/// if the process were killed meanwhile, its end would wait for the command and the command for its threads. Another
/// process sends them: the launcher, or the command that removes the device.
/// </remarks>
internal sealed class DeviceServer : IDisposable
{
    // udev may own the node for a moment, or have to give it to its owner; and the driver opens it to one server at a time.
    private static readonly TimeSpan NodeTimeout = TimeSpan.FromSeconds(10);

    private static readonly TimeSpan UndoTimeout = TimeSpan.FromSeconds(20);

    private readonly List<QueueThread> _threads = [];
    private readonly SafeFileHandle _charDevice;

    private DeviceServer(int id, SafeFileHandle charDevice)
    {
        Id = id;
        _charDevice = charDevice;
    }

    /// <summary>The device's id.</summary>
    public int Id { get; }

    /// <summary>The queues' threads, queue by queue.</summary>
    public IReadOnlyList<QueueThread> Threads => _threads;

    /// <summary>Makes or takes a device, so that its every tag waits for a request; START_DEV or END_USER_RECOVERY is left to do.</summary>
    /// <param name="kind">Whether the device is to be made, started again, or recovered.</param>
    /// <param name="specification">What is wanted; its id is set.</param>
    /// <param name="target">What answers the requests; the caller keeps it and disposes it after the server.</param>
    /// <param name="counters">Where the threads count; the caller keeps it and disposes it after the server.</param>
    /// <param name="onAdded">Called once the driver knows the device as this server's.</param>
    /// <param name="onFatal">Called on a queue's thread when it fails; the process must then end at once.</param>
    /// <exception cref="UblkException">It cannot be served; what was made is undone.</exception>
    public static DeviceServer Create(
        LaunchKind kind, DeviceSpecification specification, BlockTarget target, CounterMemory counters, Action onAdded,
            Action<Exception> onFatal)
    {
        using ControlDevice control = new();
        return Create(control, kind, specification, target, counters, onAdded, onFatal);
    }

    /// <summary>Creates the server through an open control node.</summary>
    public static DeviceServer Create(
        ControlDevice control, LaunchKind kind, DeviceSpecification specification, BlockTarget target, CounterMemory counters,
        Action onAdded, Action<Exception> onFatal)
    {
        int id = specification.Id ?? throw new ArgumentException("The id must be chosen.", nameof(specification));
        UblkParameters parameters = kind == LaunchKind.Recover ? default : DeviceParameters.Create(specification, target.Geometry);
        if (kind == LaunchKind.Start)
        {
            RequireCookie(control, id, specification.Cookie);

            // The driver keeps a stopped device as it was: before 6.16 with its old queues, and from 7.0 on, once it was stopped
            // on condition that it is not open, and then for root alone to open again. So it is made anew.
            control.Delete(id, UndoTimeout);
            kind = LaunchKind.New;
        }

        UblkDeviceInfo info = kind == LaunchKind.New ? Add(control, specification, target) : control.GetInfo(id);
        DeviceServer? server = null;
        try
        {
            if (kind == LaunchKind.Recover)
            {
                Recover(control, info, specification, target);
            }
            else
            {
                if (specification.Unprivileged)
                {
                    AwaitNode(control, id);
                }

                if (((UblkFeatures)info.Flags).HasFlag(UblkFeatures.SupportZeroCopy))
                {
                    DeviceParameters.AlignClients(ref parameters, target.Geometry);
                }

                control.SetParameters(id, parameters);
            }

            server = new DeviceServer(id, OpenCharDevice(id));
            onAdded();
            server.StartQueues(control, info, specification, target, counters, onFatal);
            return server;
        }
        catch when (kind == LaunchKind.New)
        {
            Abandon(control, id, server);
            throw;
        }
    }

    /// <summary>Exchanges what answers the requests.</summary>
    public TargetSwitch Switch => new(Id, _threads);

    /// <summary>Waits until the driver has taken every queue back, that is until somebody stopped the device.</summary>
    public void WaitForEnd() => _threads.ForEach(thread => thread.Join());

    /// <inheritdoc/>
    public void Dispose() => _charDevice.Dispose();

    private static UblkDeviceInfo Add(ControlDevice control, DeviceSpecification specification, BlockTarget target)
    {
        UblkFeatures wanted = UblkFeatures.CmdIoctlEncode | UblkFeatures.UringCmdCompInTask | specification.Recovery.ToFeatures()
            | BufferFeatures.Choose(specification, target, control.Features);
        if (specification.Recovery == RecoveryMode.Fail)
        {
            FeatureCatalog.Require(control.Features, UblkFeatures.UserRecoveryFailIo, "-Recovery Fail");
        }

        if (specification.Recovery != RecoveryMode.None)
        {
            wanted |= control.Features & UblkFeatures.Quiesce;
        }

        if (specification.Unprivileged)
        {
            wanted |= FeatureCatalog.Require(control.Features, UblkFeatures.UnprivilegedDev, "-Unprivileged");
        }

        if (specification.ThreadsPerQueue > 1)
        {
            wanted |= FeatureCatalog.Require(control.Features, UblkFeatures.PerIoDaemon, "ThreadsPerQueue greater than 1");
        }

        if (specification.NoPartitionScan)
        {
            wanted |= FeatureCatalog.Require(control.Features, UblkFeatures.NoAutoPartScan, "-NoPartitionScan");
        }

        UblkDeviceInfo info = new()
        {
            DeviceId = (uint)specification.Id!.Value,
            QueueCount = (ushort)specification.QueueCount,
            QueueDepth = (ushort)specification.QueueDepth,
            MaxIoBufferBytes = (uint)specification.MaxIoSize,
            Flags = (ulong)wanted,
            ServerCookie = specification.Cookie,
        };
        int id = (int)info.DeviceId;
        int result = control.TryAdd(ref info);
        if (result < 0)
        {
            throw DriverError.ForAdd(-result, id);
        }

        // The driver clears the flag without a word where the caller has CAP_SYS_ADMIN.
        if (specification.Unprivileged && !((UblkFeatures)info.Flags).HasFlag(UblkFeatures.UnprivilegedDev))
        {
            control.Delete(id, UndoTimeout);
            throw new UblkException(UblkError.InvalidArgument,
                "A process with CAP_SYS_ADMIN cannot create unprivileged devices. Leave out -Unprivileged, or run as an ordinary user.",
                operation: "ADD_DEV", deviceId: id);
        }

        return info;
    }

    // The id may be another device's by now.
    private static void RequireCookie(ControlDevice control, int id, ulong cookie)
    {
        if (control.GetInfo(id).ServerCookie != cookie)
        {
            throw new UblkException(UblkError.DeviceNotFound, $"Device {id} is gone, and another one has its id.", operation: "start",
                deviceId: id);
        }
    }

    // The disk stays as its clients know it.
    private static void Recover(ControlDevice control, in UblkDeviceInfo info, DeviceSpecification specification, BlockTarget target)
    {
        int id = (int)info.DeviceId;
        string? reason =
            DeviceParameters.WhyNotKept(control.GetParameters(id), (UblkFeatures)info.Flags, specification.ReadOnly, target);
        if (reason is not null)
        {
            throw new UblkException(UblkError.InvalidBackingFile,
                $"The disk of device {id} {reason}. Its requests wait. Try again with Start-UblkDevice {id}, or remove it: "
                    + $"Remove-UblkDevice {id} -Force",
                operation: "recover", deviceId: id);
        }

        // The old server's last descriptor may close a moment after its process ended.
        int result = 0;
        new Deadline(NodeTimeout).Wait(() => (result = control.TryStartRecovery(id)) != -Libc.EBUSY);
        if (result < 0)
        {
            throw DriverError.ForCommand(-result, "START_USER_RECOVERY", id);
        }
    }

    // The driver refuses every command for an unprivileged device, even to delete it, from a caller without access to its node.
    private static void AwaitNode(ControlDevice control, int id)
    {
        int result = control.AwaitInfo(id, NodeTimeout, out _);
        if (result < 0)
        {
            throw result == -Libc.EACCES
                ? new UblkException(UblkError.PermissionDenied,
                    $"udev has not given you /dev/ublkc{id}, so device {id} is left as it is. Ask root to run Install-UblkUdevRule and "
                        + $"Remove-UblkDevice {id}.", Libc.EACCES, "udev", id)
                : DriverError.ForCommand(-result, "GET_DEV_INFO", id);
        }
    }

    private static SafeFileHandle OpenCharDevice(int id)
    {
        string path = $"/dev/ublkc{id}";
        SafeFileHandle file = null!;
        int errno = 0;
        new Deadline(NodeTimeout).Wait(() =>
        {
            file = Libc.Open(path, Libc.O_RDWR);
            errno = file.IsInvalid ? Libc.LastErrno : 0;
            return errno is not (Libc.ENOENT or Libc.EACCES or Libc.EBUSY);
        });
        return errno == 0 ? file : throw DriverError.ForNode(errno, path, id);
    }

    private static void Abandon(ControlDevice control, int id, DeviceServer? server)
    {
        try
        {
            control.Stop(id, UndoTimeout);
            server?.WaitForEnd();
            server?.Dispose();
            control.Delete(id, UndoTimeout);
        }
        catch (UblkException)
        {
            // The first error says more; the launcher deletes what is left.
        }
    }

    private void StartQueues(
        ControlDevice control, UblkDeviceInfo info, DeviceSpecification specification, BlockTarget target, CounterMemory counters,
        Action<Exception> onFatal)
    {
        for (int queueId = 0; queueId < info.QueueCount; queueId++)
        {
            QueueTeam team = new();
            CpuSet kernel = control.GetQueueAffinity(Id, queueId);
            for (int index = 0; index < specification.ThreadsPerQueue; index++)
            {
                QueueShare share = new(queueId, index, specification.ThreadsPerQueue);
                QueueThread thread = new(share, QueuePlacement.Choose(specification.QueueAffinity, Id, share, kernel), onFatal);
                int tags = share.TagsOf(info.QueueDepth).Length;
                QueueCounters own = counters.For(_threads.Count, tags);
                thread.Start(() => new QueueLoop(IoQueue.CreateRing(tags), _charDevice, share, team, info, target, own));
                _threads.Add(thread);
            }
        }
    }
}

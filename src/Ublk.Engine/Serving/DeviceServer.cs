using Microsoft.Win32.SafeHandles;
using Ublk.Control;
using Ublk.Interop;
using Ublk.Targets;

namespace Ublk.Serving;

/// <summary>One device and the threads that serve it, from its creation to the end of its last queue.</summary>
/// <remarks>
/// A server never starts, stops or deletes its own live device. Those commands wait for requests that its threads answer;
/// if the process were killed meanwhile, its end would wait for the command and the command for its threads. Another
/// process sends them: who launched the server, or who removes the device.
/// </remarks>
internal sealed class DeviceServer : IDisposable
{
    // udev may own the node for a moment, and the driver opens it to one server at a time.
    private static readonly TimeSpan NodeTime = TimeSpan.FromSeconds(3);

    private static readonly TimeSpan UndoTime = TimeSpan.FromSeconds(20);

    private readonly List<QueueThread> _queues = [];
    private readonly SafeFileHandle _charDevice;

    private DeviceServer(int id, SafeFileHandle charDevice)
    {
        Id = id;
        _charDevice = charDevice;
    }

    /// <summary>The device's id.</summary>
    public int Id { get; }

    /// <summary>The queues' threads and CPUs.</summary>
    public IReadOnlyList<QueueInfo> Queues => [.. _queues.Select(queue => queue.Info)];

    /// <summary>Creates a device whose every tag waits for a request; what is left to do is START_DEV.</summary>
    /// <param name="specification">What is wanted; its id is set.</param>
    /// <param name="target">What answers the requests; the caller keeps it and disposes it after the server.</param>
    /// <param name="onAdded">Called once the driver knows the device, so that from then on it must be removed again.</param>
    /// <param name="onFatal">Called on a queue's thread when it cannot go on; the process must then end at once.</param>
    /// <exception cref="UblkException">The device could not be made; nothing of it is left.</exception>
    public static DeviceServer Create(
        DeviceSpecification specification, BlockTarget target, Action onAdded, Action<Exception> onFatal)
    {
        using ControlDevice control = new();
        UblkParameters parameters = DeviceParameters.Create(specification, target.Geometry);
        UblkDeviceInfo info = Add(control, specification);
        int id = (int)info.DeviceId;
        onAdded();
        DeviceServer? server = null;
        try
        {
            control.SetParameters(id, parameters);
            server = new DeviceServer(id, OpenCharDevice(id));
            server.StartQueues(control, info, specification, target, onFatal);
            return server;
        }
        catch
        {
            Abandon(control, id, server);
            throw;
        }
    }

    /// <summary>Waits until the driver has taken every queue back, that is until somebody stopped the device.</summary>
    public void WaitForEnd() => _queues.ForEach(queue => queue.Join());

    /// <inheritdoc/>
    public void Dispose() => _charDevice.Dispose();

    private static UblkDeviceInfo Add(ControlDevice control, DeviceSpecification specification)
    {
        UblkFeatures wanted = UblkFeatures.CmdIoctlEncode;
        if (specification.NoPartitionScan)
        {
            wanted |= control.Features.HasFlag(UblkFeatures.NoAutoPartScan)
                ? UblkFeatures.NoAutoPartScan
                : throw new UblkException(UblkError.NotSupported,
                    "This kernel's driver always scans for partitions. -NoPartitionScan needs kernel 7.0 or newer.");
        }

        int id = specification.Id ?? throw new ArgumentException("The id must be chosen.", nameof(specification));
        UblkDeviceInfo info = new()
        {
            DeviceId = (uint)id,
            QueueCount = (ushort)specification.QueueCount,
            QueueDepth = (ushort)specification.QueueDepth,
            MaxIoBufferBytes = (uint)specification.MaxIoSize,
            Flags = (ulong)wanted,
            ServerCookie = specification.Cookie,
        };
        int result = control.TryAdd(ref info);
        return result >= 0 ? info : throw DriverError.ForAdd(-result, id);
    }

    private static SafeFileHandle OpenCharDevice(int id)
    {
        string path = $"/dev/ublkc{id}";
        long deadline = Environment.TickCount64 + (long)NodeTime.TotalMilliseconds;
        while (true)
        {
            SafeFileHandle file = Libc.Open(path, Libc.O_RDWR);
            if (!file.IsInvalid)
            {
                return file;
            }

            int errno = Libc.LastErrno;
            bool mayPass = errno is Libc.ENOENT or Libc.EACCES or Libc.EBUSY;
            if (!mayPass || Environment.TickCount64 > deadline)
            {
                throw UblkException.FromErrno(errno, "open", $"Cannot open {path}", id);
            }

            Thread.Sleep(5);
        }
    }

    private static void Abandon(ControlDevice control, int id, DeviceServer? server)
    {
        try
        {
            control.Stop(id, UndoTime);
            server?.WaitForEnd();
            server?.Dispose();
            control.Delete(id, UndoTime);
        }
        catch (UblkException)
        {
            // The error that led here tells more; who launched this process deletes what is left.
        }
    }

    private void StartQueues(
        ControlDevice control, UblkDeviceInfo info, DeviceSpecification specification, BlockTarget target, Action<Exception> onFatal)
    {
        for (int queueId = 0; queueId < info.QueueCount; queueId++)
        {
            CpuSet cpus = QueuePlacement.Choose(
                specification.QueueAffinity, Id, queueId, control.GetQueueAffinity(Id, queueId));
            QueueThread queue = new(queueId, cpus, onFatal);
            int number = queueId;
            queue.Start(() => new QueueLoop(_charDevice, number, info.QueueDepth, (int)info.MaxIoBufferBytes, target));
            _queues.Add(queue);
        }
    }
}

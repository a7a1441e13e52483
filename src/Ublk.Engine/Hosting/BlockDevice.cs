using System.Security.Cryptography;
using Microsoft.Win32.SafeHandles;
using Ublk.Control;
using Ublk.Counters;
using Ublk.Launching;
using Ublk.Serving;
using Ublk.Specification;
using Ublk.Targets;
using Ublk.Workers;

namespace Ublk.Hosting;

/// <summary>A block device that this process serves, from <see cref="OpenAsync"/> to its disposal.</summary>
/// <remarks>
/// <para>
/// A process must not start or remove a device of its own: these commands wait for requests that its threads answer, and if it were
/// killed meanwhile, its exit would wait for them forever. A second, small process therefore does this while the device exists: the
/// worker that comes with the library. It also removes the device if this process dies.
/// </para>
/// <para>A queue's thread that fails ends the process; otherwise the disk's clients would wait forever.</para>
/// </remarks>
public sealed class BlockDevice : IAsyncDisposable
{
    private readonly DeviceServer _server;
    private readonly CounterMemory _counters;
    private readonly GuardProcess _guard;
    private readonly Task _end;

    private BlockDevice(DeviceServer server, CounterMemory counters, GuardProcess guard)
    {
        _server = server;
        _counters = counters;
        _guard = guard;
        _end = Task.Factory.StartNew(End, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
    }

    /// <summary>The device's id: the N of ublkbN.</summary>
    public int Id => _server.Id;

    /// <summary>The block device, <c>/dev/ublkbN</c>.</summary>
    public string DevicePath => $"/dev/ublkb{Id}";

    /// <summary>Makes a device and returns when its disk can be used.</summary>
    /// <param name="target">The target that answers the requests. The caller disposes of it after the device.</param>
    /// <param name="options">What differs from the default.</param>
    /// <param name="cancellation">Gives up and undoes what was done.</param>
    /// <exception cref="UblkException">It could not be made; nothing of it is left.</exception>
    /// <exception cref="OperationCanceledException">It was given up; nothing of it is left.</exception>
    public static Task<BlockDevice> OpenAsync(BlockTarget target, BlockDeviceOptions? options = null,
        CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(target);
        return Task.Run(() => Open(target, options ?? new BlockDeviceOptions(), cancellation), cancellation);
    }

    /// <summary>Serves until somebody removes the disk or the token is cancelled; disposing then removes it.</summary>
    /// <param name="cancellation">Ends the wait; that is no error.</param>
    public async Task RunAsync(CancellationToken cancellation = default)
    {
        try
        {
            await _end.WaitAsync(cancellation).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
        {
        }
    }

    /// <summary>Removes the device, in use or not, and returns when no request can reach the target any more.</summary>
    public async ValueTask DisposeAsync()
    {
        _guard.RequestRemoval();
        await _end.ConfigureAwait(false);
        await _guard.DisposeAsync().ConfigureAwait(false);
    }

    private static BlockDevice Open(BlockTarget target, BlockDeviceOptions options, CancellationToken cancellation)
    {
        DeviceSpecification specification = Specify(target, options);
        specification.Validate();
        WorkerProgram program = WorkerProgram.Locate(options.WorkerDirectory);
        using ControlDevice control = new();
        HashSet<int> taken = [];
        while (true)
        {
            using SafeFileHandle idLock = specification.Id is { } wanted
                ? DeviceIds.Lock(control, wanted, cancellation)
                : DeviceIds.LockFree(control, taken, out wanted);
            try
            {
                return Open(control, specification with { Id = wanted }, target, program, cancellation);
            }
            catch (UblkException exception)
                when (exception.Error == UblkError.DeviceIdInUse && specification.Id is null && taken.Add(wanted))
            {
                // Another server took the id between the look and ADD_DEV.
            }
        }
    }

    private static BlockDevice Open(
        ControlDevice control, DeviceSpecification specification, BlockTarget target, WorkerProgram program, CancellationToken cancellation)
    {
        CounterMemory counters = new(null, specification.QueueCount * specification.ThreadsPerQueue, []);
        DeviceServer? server = null;
        GuardProcess? guard = null;
        try
        {
            server = DeviceServer.Create(control, LaunchKind.New, specification, target, counters, () => { }, EndProcess);
            guard = GuardProcess.Start(program, specification);
            guard.AwaitReady(cancellation);
            return new BlockDevice(server, counters, guard);
        }
        catch
        {
            if (server is not null)
            {
                Undo(control, server, guard);
            }

            counters.Dispose();
            throw;
        }
    }

    // A guard that was there removes the device. One that could not be started leaves a device that never was live, which has no
    // request to wait for.
    private static void Undo(ControlDevice control, DeviceServer server, GuardProcess? guard)
    {
        if (guard is not null)
        {
            guard.RequestRemoval();
        }
        else
        {
            control.Stop(server.Id, WorkerTimeouts.Start);
        }

        server.WaitForEnd();
        server.Dispose();
        if (guard is not null)
        {
            guard.DisposeAsync().AsTask().GetAwaiter().GetResult();
        }
        else
        {
            control.Delete(server.Id, WorkerTimeouts.Start);
        }
    }

    private static DeviceSpecification Specify(BlockTarget target, BlockDeviceOptions options) => new()
    {
        Id = options.Id,
        Target = target.GetType().Name,
        QueueCount = options.QueueCount,
        QueueDepth = options.QueueDepth,
        MaxIoSize = options.MaxIoSize,
        BufferMode = options.BufferMode,
        ReadOnly = options.ReadOnly,
        NoPartitionScan = options.NoPartitionScan,
        Cookie = BitConverter.ToUInt64(RandomNumberGenerator.GetBytes(sizeof(ulong))),
    };

    // A removal waits until the device is closed here.
    private void End()
    {
        _server.WaitForEnd();
        _server.Dispose();
        _counters.Dispose();
    }

    private static void EndProcess(Exception exception) =>
        Environment.FailFast($"A queue of a ublk device failed: {exception.Message}", exception);
}

using System.Text;
using Ublk.Interop;

namespace Ublk.Control;

/// <summary>The driver's control node, <c>/dev/ublk-control</c>: one method for each command.</summary>
/// <remarks>Usable from one thread at a time. A command that outlasts its bound is cancelled and throws.</remarks>
internal sealed unsafe class ControlDevice : IDisposable
{
    /// <summary>Where the driver listens.</summary>
    public const string Path = "/dev/ublk-control";

    /// <summary>What lies before each payload: the path of an unprivileged device's node, filled up with zeros.</summary>
    internal const int PathRoom = 64;

    // Long for the driver's own work; what waits for others (start, stop, delete) is given its bound by the caller.
    private static readonly TimeSpan CommandTimeout = TimeSpan.FromSeconds(20);

    private readonly IControlChannel _channel;
    private readonly byte* _path;
    private readonly byte* _buffer;
    private readonly bool _isEncodingKnown;
    private bool _usesBareNumbers;

    /// <summary>Opens the control node.</summary>
    /// <exception cref="UblkException">There is no driver, or the caller may not talk to it.</exception>
    public ControlDevice()
        : this(new ControlRing())
    {
    }

    /// <summary>Talks through a channel, and closes it in the end.</summary>
    internal ControlDevice(IControlChannel channel)
    {
        _channel = channel;
        _path = channel.Buffer;
        _buffer = channel.Buffer + PathRoom;
        if (SendOnce(UblkAbi.CmdGetFeatures, UblkAbi.AnyDeviceId, _buffer, sizeof(ulong), 0, 0, CommandTimeout) >= 0)
        {
            _isEncodingKnown = true;
            Features = (UblkFeatures)(*(ulong*)_buffer);
        }
    }

    /// <summary>What the driver supports; none where it is too old to say (before 6.5).</summary>
    public UblkFeatures Features { get; }

    /// <summary>Adds a device (ADD_DEV).</summary>
    /// <param name="info">What is wanted; what the driver made of it on return.</param>
    /// <returns>0 or a negative errno.</returns>
    public int TryAdd(ref UblkDeviceInfo info)
    {
        *(UblkDeviceInfo*)_buffer = info;
        int result = Send(UblkAbi.CmdAddDev, info.DeviceId, (ushort)sizeof(UblkDeviceInfo), 0, CommandTimeout);
        info = *(UblkDeviceInfo*)_buffer;
        return result;
    }

    /// <summary>Gives a device its parameters (SET_PARAMS), before it is started.</summary>
    public void SetParameters(int id, in UblkParameters parameters)
    {
        *(UblkParameters*)_buffer = parameters;
        Check(Send(UblkAbi.CmdSetParams, (uint)id, (ushort)sizeof(UblkParameters), 0, CommandTimeout), "SET_PARAMS", id);
    }

    /// <summary>A device's parameters (GET_PARAMS).</summary>
    /// <returns>0 or a negative errno.</returns>
    public int TryGetParameters(int id, out UblkParameters parameters)
    {
        *(UblkParameters*)_buffer = new UblkParameters { Length = (uint)sizeof(UblkParameters) };
        int result = Send(UblkAbi.CmdGetParams, (uint)id, (ushort)sizeof(UblkParameters), 0, CommandTimeout);
        parameters = *(UblkParameters*)_buffer;
        return result;
    }

    /// <summary>A device's parameters (GET_PARAMS).</summary>
    public UblkParameters GetParameters(int id)
    {
        Check(TryGetParameters(id, out UblkParameters parameters), "GET_PARAMS", id);
        return parameters;
    }

    /// <summary>What the driver knows of a device (GET_DEV_INFO).</summary>
    /// <returns>0 or a negative errno: -ENODEV where there is no such device.</returns>
    public int TryGetInfo(int id, out UblkDeviceInfo info)
    {
        int result = Send(UblkAbi.CmdGetDevInfo, (uint)id, (ushort)sizeof(UblkDeviceInfo), 0, CommandTimeout);
        info = *(UblkDeviceInfo*)_buffer;
        return result;
    }

    /// <summary>What the driver knows of a device (GET_DEV_INFO).</summary>
    /// <exception cref="UblkException">There is no such device, or the caller may not know.</exception>
    public UblkDeviceInfo GetInfo(int id)
    {
        Check(TryGetInfo(id, out UblkDeviceInfo info), "GET_DEV_INFO", id);
        return info;
    }

    /// <summary>As <see cref="TryGetInfo"/>, once udev has given the node of a device that was just made to the caller.</summary>
    /// <returns>0 or a negative errno: -EACCES where udev has not.</returns>
    public int AwaitInfo(int id, TimeSpan timeout, out UblkDeviceInfo info)
    {
        int result = 0;
        UblkDeviceInfo last = default;
        new Deadline(timeout).Wait(() => (result = TryGetInfo(id, out last)) != -Libc.EACCES);
        info = last;
        return result;
    }

    /// <summary>The CPUs whose requests come to a queue (GET_QUEUE_AFFINITY).</summary>
    public CpuSet GetQueueAffinity(int id, int queueId)
    {
        int result = Send(UblkAbi.CmdGetQueueAffinity, (uint)id, CpuSet.MaskBytes, (ulong)queueId, CommandTimeout);
        Check(result, "GET_QUEUE_AFFINITY", id);
        return CpuSet.FromMask(new ReadOnlySpan<byte>(_buffer, CpuSet.MaskBytes));
    }

    /// <summary>Brings a device to life (START_DEV); every tag must be fetched by other threads meanwhile.</summary>
    public void Start(int id, int serverPid, TimeSpan timeout) =>
        Check(Send(UblkAbi.CmdStartDev, (uint)id, 0, (ulong)serverPid, timeout), "START_DEV", id);

    /// <summary>Removes the disk (STOP_DEV); waits for the requests in flight, which the server must still answer.</summary>
    public void Stop(int id, TimeSpan timeout) => Check(TryStop(id, timeout, evenIfOpen: true), "STOP_DEV", id);

    /// <summary>Removes the disk, in use or not (STOP_DEV), or only if it is not open (TRY_STOP_DEV, from 7.0).</summary>
    /// <returns>0 or a negative errno: -EBUSY while it is open, -ENODEV when it is not started.</returns>
    public int TryStop(int id, TimeSpan timeout, bool evenIfOpen = false) =>
        Send(evenIfOpen ? UblkAbi.CmdStopDev : UblkAbi.CmdTryStopDev, (uint)id, 0, 0, timeout);

    /// <summary>Deletes a device (DEL_DEV); waits until its server has closed it and the id is free.</summary>
    public void Delete(int id, TimeSpan timeout) =>
        Check(Send(UblkAbi.CmdDelDev, (uint)id, 0, 0, timeout), "DEL_DEV", id);

    /// <summary>Deletes a device without waiting for its server (DEL_DEV_ASYNC, from 6.7).</summary>
    /// <returns>0 or a negative errno.</returns>
    public int TryDeleteAsync(int id) => Send(UblkAbi.CmdDelDevAsync, (uint)id, 0, 0, CommandTimeout);

    /// <summary>Prepares a device whose server is gone for another one (START_USER_RECOVERY).</summary>
    /// <returns>0 or a negative errno: -EBUSY while the old server has the device open or it is not in recovery.</returns>
    public int TryStartRecovery(int id) => Send(UblkAbi.CmdStartUserRecovery, (uint)id, 0, 0, CommandTimeout);

    /// <summary>Brings a recovered device back to life (END_USER_RECOVERY); waits for every tag to be fetched.</summary>
    public void EndRecovery(int id, int serverPid, TimeSpan timeout) =>
        Check(Send(UblkAbi.CmdEndUserRecovery, (uint)id, 0, (ulong)serverPid, timeout), "END_USER_RECOVERY", id);

    /// <summary>Parts a live device from its server, which then leaves it (QUIESCE_DEV, from 6.16).</summary>
    /// <param name="id">The device.</param>
    /// <param name="timeout">How long the driver may wait for each queue to have an idle tag.</param>
    /// <returns>0 or a negative errno: -EBUSY when the time was up, and then nothing but a new server helps.</returns>
    public int TryQuiesce(int id, TimeSpan timeout) =>
        Send(UblkAbi.CmdQuiesceDev, (uint)id, 0, (ulong)timeout.TotalMilliseconds, timeout + CommandTimeout);

    /// <summary>Changes the size of a live disk (UPDATE_SIZE, from 6.16).</summary>
    /// <param name="id">The device.</param>
    /// <param name="size">The new size in bytes, a multiple of the logical block size.</param>
    public void UpdateSize(int id, long size) =>
        Check(Send(UblkAbi.CmdUpdateSize, (uint)id, 0, (ulong)size >> UblkAbi.SectorShift, CommandTimeout), "UPDATE_SIZE", id);

    /// <inheritdoc/>
    public void Dispose() => _channel.Dispose();

    private static void Check(int result, string operation, int id)
    {
        if (result < 0)
        {
            throw DriverError.ForCommand(-result, operation, id);
        }
    }

    private int Send(uint command, uint id, ushort length, ulong data, TimeSpan timeout)
    {
        uint sent = _usesBareNumbers ? command & UblkAbi.CommandNumberMask : command;
        int result = SendOnce(sent, id, _buffer, length, 0, data, timeout);
        if (result == -Libc.EINVAL && command != UblkAbi.CmdAddDev && IsUnprivileged(id))
        {
            return SendWithPath(command, id, length, data, timeout);
        }

        // Kernels before 6.4 know the bare numbers only, and answer the encoded ones like a missing device.
        if (!_isEncodingKnown && !_usesBareNumbers
            && result is -Libc.EOPNOTSUPP or -Libc.ENODEV or -Libc.EINVAL)
        {
            int bare = SendOnce(command & UblkAbi.CommandNumberMask, id, _buffer, length, 0, data, timeout);
            _usesBareNumbers = bare >= 0;
            return bare;
        }

        return result;
    }

    // The driver misses the path before anything else, and only with such a device.
    private bool IsUnprivileged(uint id) => Features.HasFlag(UblkFeatures.UnprivilegedDev)
        && SendOnce(UblkAbi.CmdGetDevInfo, id, _path, (ushort)sizeof(UblkDeviceInfo), 0, 0, CommandTimeout) == -Libc.EINVAL;

    // Access to the device follows from access to its node.
    private int SendWithPath(uint command, uint id, ushort length, ulong data, TimeSpan timeout)
    {
        Span<byte> path = new(_path, PathRoom);
        path.Clear();
        Encoding.ASCII.GetBytes($"/dev/ublkc{id}", path);
        return SendOnce(command, id, _path, (ushort)(PathRoom + length), PathRoom, data, timeout);
    }

    private int SendOnce(uint command, uint id, byte* buffer, ushort length, ushort pathLength, ulong data, TimeSpan timeout)
    {
        UblkControlCommand payload = new()
        {
            DeviceId = id,
            QueueId = UblkAbi.NoQueue,
            Length = length,
            Address = length > 0 ? (ulong)buffer : 0,
            Data = data,
            DevicePathLength = pathLength,
        };
        int result = _channel.Send(command, payload, timeout);
        ControlTrace.Tell(command, id, result);
        return result;
    }
}

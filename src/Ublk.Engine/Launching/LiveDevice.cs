using Microsoft.Win32.SafeHandles;
using Ublk.Control;
using Ublk.Devices;
using Ublk.Images;
using Ublk.Interop;
using Ublk.Lifecycle;
using Ublk.Live;
using Ublk.Specification;

namespace Ublk.Launching;

/// <summary>A device in use, its worker, and the lock that keeps other commands away from it.</summary>
internal sealed class LiveDevice : IDisposable
{
    private readonly SafeFileHandle _idLock;
    private readonly ControlDevice _control;
    private readonly Action<string> _step;
    private readonly Action<int>? _percent;

    /// <summary>Waits until no other command has the device, and connects to its worker.</summary>
    /// <param name="control">The driver.</param>
    /// <param name="id">The device.</param>
    /// <param name="step">Called with a sentence for each step, on the calling thread.</param>
    /// <param name="percent">Called with the percentage of the step that is done.</param>
    /// <param name="cancellation">Gives up.</param>
    /// <param name="mayBeMirrored">Whether its disk may be in two places.</param>
    /// <exception cref="UblkException">There is no such device, it is another user's, or its worker takes no commands.</exception>
    public LiveDevice(
        ControlDevice control, int id, Action<string> step, Action<int>? percent, CancellationToken cancellation,
        bool mayBeMirrored = false)
    {
        Id = id;
        (_control, _step, _percent) = (control, step, percent);
        _idLock = StateDirectory.Own.LockDevice(id, cancellation);
        try
        {
            Record = DeviceTransitions.LiveRecordOf(control, id, cancellation, mayBeMirrored);
            Features = (UblkFeatures)control.GetInfo(id).Flags;
            Size = (long)control.GetParameters(id).DeviceSectors << UblkAbi.SectorShift;
            Worker = LiveConnection.Open(id, step, percent);
        }
        catch
        {
            _idLock.Dispose();
            throw;
        }
    }

    /// <summary>Its id.</summary>
    public int Id { get; }

    /// <summary>Its record, as it was when the connection began.</summary>
    public DeviceRecord Record { get; private set; }

    /// <summary>What it is.</summary>
    public DeviceSpecification Specification => Record.Specification;

    /// <summary>What the driver does for it.</summary>
    public UblkFeatures Features { get; }

    /// <summary>The size of its disk in bytes.</summary>
    public long Size { get; }

    /// <summary>Its worker. Once this is closed, requests that it held continue.</summary>
    public LiveConnection Worker { get; private set; }

    /// <summary>Where the disk or a partition of it is mounted.</summary>
    public IEnumerable<string> MountPoints => DeviceInventory.Find(Id)?.MountPoints ?? [];

    /// <summary>Has new requests wait. From then on the worker is busy with nothing else, and the record is final.</summary>
    /// <exception cref="UblkException">Requests cannot be held, or another command has changed the device.</exception>
    public void Hold(CancellationToken cancellation)
    {
        Worker.Run(LiveAction.Hold, null, cancellation);
        RequireUnchanged();
    }

    /// <summary>Checks, while requests are held, that the device is still as in its record.</summary>
    /// <exception cref="UblkException">Another command has changed it.</exception>
    public void RequireUnchanged() => DeviceTransitions.RequireUnchanged(Record);

    /// <summary>Changes the image that the disk is, while it is closed. Requests wait, also afterwards.</summary>
    /// <param name="change">The change.</param>
    /// <param name="workerDirectory">The module's folder of worker programs.</param>
    /// <param name="cancellation">Gives up before the image is closed.</param>
    /// <returns>Warnings for the user.</returns>
    /// <exception cref="UblkException">It cannot be done. The worker opens the image again when the connection ends.</exception>
    public IReadOnlyList<string> ChangeImage(ImageOperation change, string workerDirectory, CancellationToken cancellation)
    {
        Hold(cancellation);
        cancellation.ThrowIfCancellationRequested();
        Worker.Run(LiveAction.Close, null, CancellationToken.None);
        ImageJob.Run(change, workerDirectory, (_, _, _) => { }, _step, CancellationToken.None);
        return Worker.Run(LiveAction.Open, Specification, CancellationToken.None);
    }

    /// <summary>Begins anew with the worker. Requests that it held continue.</summary>
    /// <exception cref="UblkException">The worker takes no commands any more.</exception>
    public void Reconnect(CancellationToken cancellation)
    {
        Worker.Dispose();
        Record = DeviceTransitions.LiveRecordOf(_control, Id, cancellation);
        Worker = LiveConnection.Open(Id, _step, _percent);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Worker.Dispose();
        _idLock.Dispose();
    }
}

using Ublk.Devices;
using Ublk.Live;
using Ublk.Registration;
using Ublk.Specification;

namespace Ublk.Launching;

/// <summary>
/// The end of a command that had a disk in use copied: its device and, where that is registered, its registration get the other disk.
/// </summary>
/// <remarks>Before it both have the same content, and requests wait.</remarks>
internal sealed class DiskSwitch
{
    private readonly DeviceSpecification _former;
    private readonly DeviceSpecification? _registered;

    /// <summary>Looks for the registration of a device.</summary>
    /// <param name="former">The device.</param>
    /// <exception cref="UblkException">The registrations are on the disk itself.</exception>
    public DiskSwitch(DeviceSpecification former)
    {
        _former = former;
        if (former.Name is not { } name)
        {
            return;
        }

        // The file is read and written while requests wait, here and by the worker.
        NextDisk.RequireElsewhere(
            DeviceRegistrar.Folder, NextDisk.PlacesOf(Id), "Its file cannot be changed while requests of the disk wait.");
        if (DeviceRegistrar.TryRead(name) is { } registered && registered.HasDiskOf(former))
        {
            _registered = registered;
        }
    }

    /// <summary>Whether the device is registered with its disk.</summary>
    public bool IsRegistered => _registered is not null;

    private int Id => _former.Id!.Value;

    /// <summary>Switches. Writes that follow reach the other disk alone, so a boot must not find the former any more.</summary>
    /// <remarks>If this process is killed in between, the worker reads which of them is registered, and serves that.</remarks>
    /// <param name="worker">The connection over which the disk was copied.</param>
    /// <param name="next">The device with the other disk.</param>
    /// <returns>Warnings for the user.</returns>
    /// <exception cref="UblkException">It cannot be done. The device keeps its disk, unless its record has the other.</exception>
    public IReadOnlyList<string> Run(LiveConnection worker, DeviceSpecification next)
    {
        try
        {
            if (_registered is { } registered)
            {
                DeviceRegistrar.Replace(_former.Name!, registered with { Target = next.Target, Options = next.Options });
            }

            return worker.Run(LiveAction.Open, next, CancellationToken.None);
        }
        catch
        {
            Undo(worker);
            throw;
        }
    }

    private void Undo(LiveConnection worker)
    {
        try
        {
            worker.Run(LiveAction.Close, null, CancellationToken.None);
        }
        catch (UblkException)
        {
            // It died, or has switched; the record says what the next worker serves.
        }

        if (_registered is { } registered
            && StateDirectory.Own.TryRead(Id)?.Specification.HasDiskOf(_former) == true)
        {
            DeviceRegistrar.Replace(_former.Name!, registered);
        }
    }
}

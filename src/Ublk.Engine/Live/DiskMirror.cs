using Ublk.Devices;
using Ublk.Interop;

namespace Ublk.Live;

/// <summary>A disk that stays in two places after a move copied it, until a command ends that.</summary>
internal sealed class DiskMirror
{
    private readonly OpenedDisk[] _legs;
    private readonly ILiveHost _host;
    private UblkMirror _state;

    /// <summary>Puts two places with the same content together.</summary>
    /// <param name="former">The former place, which is the disk while both are in sync.</param>
    /// <param name="next">The next place. Its operations number the files of both places, those of the former first.</param>
    /// <param name="host">The worker.</param>
    public DiskMirror(OpenedDisk former, OpenedDisk next, ILiveHost host)
    {
        _legs = [former, next];
        _host = host;
        _state = new UblkMirror([.. _legs.Select(leg => new UblkMirrorLeg
        {
            Target = leg.Specification.Target,
            BackingPath = leg.Target.BackingPath,
        })]);
        MirrorTarget target = new(former.Storage, next.Storage, Drop);
        Disk = (former with { Storage = target, Mirror = _state }).WithFilters(former.Specification.Filters);
    }

    /// <summary>Both as one disk.</summary>
    public OpenedDisk Disk { get; }

    /// <summary>The state of both.</summary>
    public UblkMirror State => _state;

    /// <summary>One place as the disk.</summary>
    /// <param name="leg">0 for the former, 1 for the next.</param>
    /// <exception cref="UblkException">It was dropped.</exception>
    public OpenedDisk Keep(int leg)
    {
        _state.RequireInSync(Disk.Specification.Id!.Value, leg);
        return _legs[leg];
    }

    /// <summary>Closes both. What the one that is kept could not write back is an error.</summary>
    /// <param name="kept">0 for the former, 1 for the next.</param>
    /// <exception cref="UblkException">Something could not be written to it.</exception>
    public void Close(int kept)
    {
        using MirrorTarget target = (MirrorTarget)Disk.Storage;
        try
        {
            target.Finish(1 - kept);
        }
        catch (UblkException exception)
        {
            _legs[kept].Options.Warn(exception.Message);
        }

        target.Finish(kept);
    }

    // Not on a queue's thread. No other change of the device is under way: it would have to end the mirror first.
    private void Drop(int leg, int errno)
    {
        UblkMirror state = _state.Drop(leg, $"A request failed: {Libc.Describe(errno)}.");
        _host.Record(_legs[1 - leg] with { Mirror = state });
        _state = state;
        _legs[leg].Options.Warn(
            $"{_legs[leg].Target.BackingPath} is dropped from the mirror, and {_legs[1 - leg].Target.BackingPath} is the disk: "
                + state.Legs[leg].Failure);
    }
}

using Ublk.Interop;

namespace Ublk.Tests.Qcow2.Crash;

/// <summary>How a host's file fails: for a while it has no room, now and then a write fails, and seldom a flush.</summary>
/// <param name="random">Chooses.</param>
internal sealed class Faults(Random random)
{
    private readonly bool _losesData = random.Next(4) == 0;
    private int _untilTurn = random.Next(1, 30);
    private bool _isFull;

    /// <summary>0, or the negative errno that a change or a flush fails with.</summary>
    public int Next(bool isSync)
    {
        if (isSync)
        {
            return _losesData && random.Next(20) == 0 ? -Libc.EIO : 0;
        }

        if (--_untilTurn == 0)
        {
            _isFull = !_isFull;
            _untilTurn = random.Next(1, 30);
        }

        return _isFull && random.Next(3) != 0 ? -Libc.ENOSPC
            : random.Next(30) == 0 ? -Libc.EIO
            : 0;
    }
}

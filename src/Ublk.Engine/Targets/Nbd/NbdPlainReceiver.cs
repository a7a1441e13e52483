using Ublk.Interop;
using Ublk.Io;

namespace Ublk.Targets.Nbd;

/// <summary>Receives replies as they are.</summary>
internal sealed class NbdPlainReceiver(NbdConnection connection, IoQueue queue, NbdReplies replies)
    : NbdReceiver(connection, queue, replies)
{
    private int _direct;

    private protected override int Prepare()
    {
        int count = 0;
        _direct = Replies.Payload.Length;
        if (_direct > 0)
        {
            Vectors[count++] = new Libc.IoVector { Base = Replies.Payload.Address, Length = (nuint)_direct };
        }

        Vectors[count++] = new Libc.IoVector { Base = Staging.Address + Staged, Length = (nuint)(StagingLength - Staged) };
        return count;
    }

    private protected override string? Take(int received)
    {
        int direct = int.Min(received, _direct);
        if (direct > 0)
        {
            Replies.Advance(direct);
        }

        Staged += received - direct;
        TakeStaged();
        return null;
    }
}

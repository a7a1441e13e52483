using Ublk.Interop;
using Ublk.Io;

namespace Ublk.Targets.Nbd;

/// <summary>Receives replies as they are.</summary>
internal sealed class NbdPlainReceiver(NbdConnection connection, IoQueue queue, NbdReplies replies)
    : NbdReceiver(connection, queue, replies)
{
    private readonly SlotFiller _filler = new();
    private int _direct;
    private bool _isFilling;

    /// <inheritdoc/>
    public override void Dispose()
    {
        _filler.Dispose();
        base.Dispose();
    }

    private protected override IoTask<int> ReceiveAsync(bool expectsNothing)
    {
        IoBuffer payload = Replies.Payload;
        _direct = payload.Length;
        _isFilling = !payload.IsMemory && !Replies.IsHole && Staged > 0;
        return payload.IsMemory ? ReceiveToMemoryAsync(payload, expectsNothing)
            : Replies.IsHole ? Queue.ReadZeroesAsync(payload)
            : _isFilling ? _filler.FillAsync(Queue, Staging.Span[..int.Min(Staged, payload.Length)], payload)
            : Queue.ReceiveAsync(Connection.File, payload, isWhole: true);
    }

    private protected override string? Take(int received)
    {
        int direct = int.Min(received, _direct);
        if (_isFilling)
        {
            RemoveStaged(direct);
        }

        if (direct > 0)
        {
            Replies.Advance(direct);
        }

        Staged += received - direct;
        TakeStaged();
        return null;
    }

    // Data that must not come to memory is only asked for when its head has come, so nothing is received beyond a head.
    // The rest of a single reply, whose length is known, is waited for by the kernel: a server may send it in several pieces.
    private IoTask<int> ReceiveToMemoryAsync(IoBuffer payload, bool expectsNothing)
    {
        bool isLimited = Connection.IsDataDueOutsideMemory;
        int rest = payload.Length > 0 ? 0 : Replies.ChunkLength - Staged;
        bool isWhole = Connection.IsLastReplyDue && !isLimited && (payload.Length > 0 || (rest > 0 && Staged + rest <= StagingLength));
        int room = isWhole ? rest : (isLimited ? Replies.HeadLimit : StagingLength) - Staged;
        int count = 0;
        if (payload.Length > 0)
        {
            Vectors[count++] = new Libc.IoVector { Base = payload.Address, Length = (nuint)payload.Length };
        }

        if (room > 0)
        {
            Vectors[count++] = new Libc.IoVector { Base = Staging.Address + Staged, Length = (nuint)room };
        }

        return ReceiveVectorsAsync(count, expectsNothing, isWhole);
    }
}

using Ublk.Interop;
using Ublk.Io;
using Ublk.Targets.Nbd;

namespace Ublk.Exports.Server;

/// <summary>Sends replies encrypted, from memory of its own. A reply counts as sent once it is encrypted.</summary>
internal sealed class TlsReplySender(IoQueue queue, int file, Action<ExportRequest> onSent, NbdTls tls)
    : ReplySender(queue, file, onSent)
{
    // Some records of 16 KiB of data, each of which becomes a little longer.
    private const int Room = 320 << 10;
    private const int RecordLength = 16 << 10;

    private readonly AlignedBuffer _plain = new(RecordLength);
    private readonly AlignedBuffer _encrypted = new(Room);
    private int _start;
    private int _end;

    /// <inheritdoc/>
    public override void Dispose()
    {
        _plain.Dispose();
        _encrypted.Dispose();
        base.Dispose();
    }

    private protected override int Gather(bool isMore)
    {
        if (!isMore && _start == _end)
        {
            _start = 0;
            _end = 0;
        }

        TakeOutput();
        while (First is not null && _end + (2 * RecordLength) <= Room)
        {
            if (!tls.Encrypt(_plain.Address, FillRecord()))
            {
                return -Libc.ENOLINK;
            }

            TakeOutput();
        }

        Vectors[0] = new Libc.IoVector { Base = _encrypted.Address + _start, Length = (nuint)(_end - _start) };
        Length = _end - _start;
        return _end > _start ? 1 : 0;
    }

    private protected override void Note(int sent) => _start += sent;

    private int FillRecord()
    {
        int length = 0;
        while (First is { } request && length < RecordLength)
        {
            int part = request.CopyUnsentTo(_plain.Span[length..RecordLength]);
            length += part;
            Advance(part);
        }

        return length;
    }

    private void TakeOutput() => _end += tls.TakeOutput(_encrypted.Address + _end, Room - _end);
}

using Ublk.Interop;
using Ublk.Io;

namespace Ublk.Targets.Nbd;

/// <summary>Sends requests encrypted, from memory of its own.</summary>
/// <remarks>
/// A request counts as sent once it is encrypted: its data is not in use any more, and how much of it has left the machine is not known
/// where a connection is lost.
/// </remarks>
internal sealed class NbdTlsSender(NbdConnection connection, IoQueue queue, NbdTls tls) : NbdSender(connection, queue)
{
    // Of one message: some records of 16 KiB of data, each of which becomes a little longer.
    private const int Room = 320 << 10;
    private const int RecordLength = 16 << 10;

    private readonly NbdConnection _connection = connection;
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

    private protected override void OnAdded(NbdCommand command)
    {
    }

    private protected override void Begin()
    {
        if (_start == _end)
        {
            _start = 0;
            _end = 0;
        }
    }

    private protected override int Gather()
    {
        // What OpenSSL has to say by itself comes first, as it was first.
        TakeOutput();
        while (First is not null && _end + (2 * RecordLength) <= Room)
        {
            int length = FillRecord();
            if (!tls.Encrypt(_plain.Address, length))
            {
                _connection.Fail(NbdTls.DescribeEnd());
                return 0;
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
        while (First is { } command && length < RecordLength)
        {
            int part = command.CopyUnsentTo(_plain.Span[length..RecordLength]);
            length += part;
            Advance(part);
        }

        return length;
    }

    private void TakeOutput() => _end += tls.TakeOutput(_encrypted.Address + _end, Room - _end);
}

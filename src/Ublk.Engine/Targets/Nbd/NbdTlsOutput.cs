using Ublk.Interop;
using Ublk.Io;

namespace Ublk.Targets.Nbd;

/// <summary>What one side of a connection sends encrypted: records in memory of their own, until the ring has sent them.</summary>
/// <param name="tls">The connection's TLS.</param>
internal sealed class NbdTlsOutput(NbdTls tls) : IDisposable
{
    // Of one message: some records of 16 KiB of data, each of which becomes a little longer.
    private const int Room = 320 << 10;
    private const int RecordLength = 16 << 10;

    private readonly AlignedBuffer _plain = new(RecordLength);
    private readonly AlignedBuffer _encrypted = new(Room);
    private int _start;
    private int _end;

    /// <summary>Where the data of the next record goes.</summary>
    public Span<byte> Record => _plain.Span[..RecordLength];

    /// <summary>Whether another record fits.</summary>
    public bool HasRoom => _end + (2 * RecordLength) <= Room;

    /// <summary>Bytes that are not sent yet.</summary>
    public int Length => _end - _start;

    /// <summary>Uses the memory from its beginning again, where all of it was sent. No message must be in flight.</summary>
    public void Restart()
    {
        if (_start == _end)
        {
            _start = 0;
            _end = 0;
        }
    }

    /// <summary>Takes what OpenSSL sends by itself. It comes before records that are encrypted later.</summary>
    public void Take() => _end += tls.TakeOutput(_encrypted.Address + _end, Room - _end);

    /// <summary>Encrypts the record.</summary>
    /// <param name="length">Its bytes.</param>
    /// <returns>False where the connection has ended.</returns>
    public bool Encrypt(int length)
    {
        if (!tls.Encrypt(_plain.Address, length))
        {
            return false;
        }

        Take();
        return true;
    }

    /// <summary>Describes what is not sent yet.</summary>
    /// <param name="vector">What describes it.</param>
    /// <returns>How many vectors that needs: 1, or 0 where there is nothing.</returns>
    public int Describe(out Libc.IoVector vector)
    {
        vector = new Libc.IoVector { Base = _encrypted.Address + _start, Length = (nuint)Length };
        return Length > 0 ? 1 : 0;
    }

    /// <summary>Bytes were sent.</summary>
    public void Note(int sent) => _start += sent;

    /// <inheritdoc/>
    public void Dispose()
    {
        _plain.Dispose();
        _encrypted.Dispose();
    }
}

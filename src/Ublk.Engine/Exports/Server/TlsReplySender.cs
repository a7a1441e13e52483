using Ublk.Interop;
using Ublk.Io;
using Ublk.Targets.Nbd;

namespace Ublk.Exports.Server;

/// <summary>Sends replies encrypted. A reply counts as sent once it is encrypted.</summary>
internal sealed class TlsReplySender(IoQueue queue, int file, Action<ExportRequest> onSent, NbdTls tls)
    : ReplySender(queue, file, onSent)
{
    private readonly NbdTlsOutput _output = new(tls);

    /// <inheritdoc/>
    public override void Dispose()
    {
        _output.Dispose();
        base.Dispose();
    }

    private protected override int Gather(bool isMore)
    {
        if (!isMore)
        {
            _output.Restart();
        }

        _output.Take();
        while (First is not null && _output.HasRoom)
        {
            if (!_output.Encrypt(Fill(_output.Record)))
            {
                return -Libc.ENOLINK;
            }
        }

        Length = _output.Length;
        return _output.Describe(out Vectors[0]);
    }

    private protected override void Note(int sent) => _output.Note(sent);

    private int Fill(Span<byte> record)
    {
        int length = 0;
        while (First is { } request && length < record.Length)
        {
            int part = request.CopyUnsentTo(record[length..]);
            length += part;
            Advance(part);
        }

        return length;
    }
}

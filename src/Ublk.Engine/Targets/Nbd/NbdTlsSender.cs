using Ublk.Io;

namespace Ublk.Targets.Nbd;

/// <summary>Sends requests encrypted.</summary>
/// <remarks>
/// A request counts as sent once it is encrypted: its data is not in use any more, and how much of it has left the machine is not known
/// where a connection is lost.
/// </remarks>
internal sealed class NbdTlsSender(NbdConnection connection, IoQueue queue, NbdTls tls) : NbdSender(connection, queue)
{
    private readonly NbdConnection _connection = connection;
    private readonly NbdTlsOutput _output = new(tls);

    /// <inheritdoc/>
    public override void Dispose()
    {
        _output.Dispose();
        base.Dispose();
    }

    private protected override void OnAdded(NbdCommand command)
    {
    }

    private protected override void Begin() => _output.Restart();

    private protected override int Gather()
    {
        _output.Take();
        while (First is not null && _output.HasRoom)
        {
            if (!_output.Encrypt(Fill(_output.Record)))
            {
                _connection.Fail(NbdTls.DescribeEnd());
                return 0;
            }
        }

        Length = _output.Length;
        return _output.Describe(out Vectors[0]);
    }

    private protected override void Note(int sent) => _output.Note(sent);

    private int Fill(Span<byte> record)
    {
        int length = 0;
        while (First is { } command && length < record.Length)
        {
            int part = command.CopyUnsentTo(record[length..]);
            length += part;
            Advance(part);
        }

        return length;
    }
}

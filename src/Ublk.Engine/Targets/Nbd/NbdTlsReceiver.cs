using Ublk.Interop;
using Ublk.Io;

namespace Ublk.Targets.Nbd;

/// <summary>Receives replies encrypted: they are decrypted to where they belong.</summary>
internal sealed class NbdTlsReceiver(NbdConnection connection, IoQueue queue, NbdReplies replies, NbdTls tls)
    : NbdReceiver(connection, queue, replies)
{
    // OpenSSL copies it, and grows with it.
    private const int EncryptedLength = 256 << 10;

    private readonly AlignedBuffer _encrypted = new(EncryptedLength);

    /// <inheritdoc/>
    public override void Dispose()
    {
        _encrypted.Dispose();
        base.Dispose();
    }

    private protected override IoTask<int> ReceiveAsync(bool expectsNothing)
    {
        Vectors[0] = new Libc.IoVector { Base = _encrypted.Address, Length = EncryptedLength };
        return ReceiveVectorsAsync(1, expectsNothing, isWhole: false);
    }

    private protected override string? Take(int received)
    {
        tls.AddInput(_encrypted.Address, received);
        int count;
        do
        {
            // While a read's data is due, nothing is staged.
            IoBuffer payload = Replies.Payload;
            if (payload.Length > 0)
            {
                count = tls.Decrypt(payload.Address, payload.Length);
                if (count > 0)
                {
                    Replies.Advance(count);
                }
            }
            else
            {
                count = tls.Decrypt(Staging.Address + Staged, StagingLength - Staged);
                Staged += int.Max(count, 0);
                TakeStaged();
            }
        }
        while (count > 0);

        // An answer to what the server wanted of the encryption itself.
        if (tls.HasOutput)
        {
            Connection.Send();
        }

        return count < 0 ? NbdTls.DescribeEnd() : null;
    }
}

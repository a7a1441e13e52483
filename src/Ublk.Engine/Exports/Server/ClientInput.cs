using Ublk.Interop;
using Ublk.Io;
using Ublk.Targets.Nbd;

namespace Ublk.Exports.Server;

/// <summary>What a client sends, in order: many requests with one receive, and the data of large writes directly to its place.</summary>
/// <param name="queue">The ring.</param>
/// <param name="file">The socket's index among the queue's files.</param>
/// <param name="tls">The encryption; null for none.</param>
internal sealed class ClientInput(IoQueue queue, int file, NbdTls? tls) : IDisposable
{
    private const int StagingLength = 64 << 10;

    private readonly AlignedBuffer _staging = new(StagingLength);
    private int _start;
    private int _end;

    /// <summary>Whether a part of what is to be filled has come.</summary>
    public bool IsInside { get; private set; }

    /// <summary>Fills a buffer.</summary>
    /// <returns>0 when it is full; -ENOLINK where the client is gone, or another negative errno.</returns>
    public async IoTask<int> FillAsync(IoBuffer buffer)
    {
        while (buffer.Length > 0)
        {
            int taken = Take(buffer);
            if (taken == 0)
            {
                // TLS has to see all that comes.
                bool isDirect = tls is null && buffer.Length >= StagingLength;
                int received = await queue.ReceiveAsync(file, isDirect ? buffer : _staging.Part(0, StagingLength));
                if (received == -Libc.EINTR)
                {
                    continue;
                }

                if (received <= 0)
                {
                    return received < 0 ? received : -Libc.ENOLINK;
                }

                taken = isDirect ? received : Stage(received);
            }

            if (taken < 0)
            {
                return taken;
            }

            IsInside |= taken > 0;
            buffer = buffer.Slice(taken);
        }

        return 0;
    }

    /// <summary>A request is complete: a client that sends nothing more is only idle.</summary>
    public void EndRequest() => IsInside = false;

    /// <inheritdoc/>
    public void Dispose() => _staging.Dispose();

    private int Take(IoBuffer buffer)
    {
        if (tls is not null)
        {
            return tls.Decrypt(buffer.Address, buffer.Length) is >= 0 and var count ? count : -Libc.ENOLINK;
        }

        int taken = int.Min(_end - _start, buffer.Length);
        _staging.Span.Slice(_start, taken).CopyTo(buffer.Span);
        _start += taken;
        return taken;
    }

    private int Stage(int received)
    {
        if (tls is not null)
        {
            tls.AddInput(_staging.Address, received);
        }
        else
        {
            _start = 0;
            _end = received;
        }

        return 0;
    }
}

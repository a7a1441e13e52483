using System.Runtime.ExceptionServices;
using Ublk.Interop;
using Ublk.Rings;
using Ublk.Targets;

namespace Ublk.Serving;

/// <summary>Reads from a target before there is a device, on a queue of its own.</summary>
internal static class TargetReader
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    /// <summary>Reads whole blocks.</summary>
    /// <exception cref="UblkException">The target fails, or takes too long.</exception>
    public static byte[] Read(BlockTarget target, long offset, int length)
    {
        byte[] data = new byte[length];
        ExceptionDispatchInfo? failure = null;
        Thread thread = new(() =>
        {
            try
            {
                Read(target, offset, data);
            }
            catch (Exception exception)
            {
                failure = ExceptionDispatchInfo.Capture(exception);
            }
        });
        thread.Start();
        thread.Join();
        failure?.Throw();
        return data;
    }

    private static void Read(BlockTarget target, long offset, byte[] data)
    {
        using IoQueue queue = new(1, [], target.Files);
        using CopiedBuffers buffers = new(1, (data.Length + 4095) / 4096 * 4096);
        IoRequest request = new IoRequest(queue, 0, 0).Derive(IoOperation.Read, offset, data.Length, buffers.Of(0, data.Length));
        ValueTask<int> answer = target.HandleAsync(request);
        while (!answer.IsCompleted)
        {
            int result = queue.Ring.Enter(1, Patience);
            if (result < 0)
            {
                throw UblkException.FromErrno(-result, "read", "The disk cannot be read");
            }

            while (queue.Ring.TryReap(out IoUringCqe completion))
            {
                queue.TryComplete(completion);
            }
        }

        int read = RequestResult.ForDriver(request, answer.GetAwaiter().GetResult());
        if (read < 0)
        {
            throw UblkException.FromErrno(-read, "read", "The disk cannot be read");
        }

        request.Buffer.Span.CopyTo(data);
    }
}

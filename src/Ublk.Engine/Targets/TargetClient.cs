using System.Runtime.ExceptionServices;
using Ublk.Interop;
using Ublk.Io;

namespace Ublk.Targets;

/// <summary>
/// Sends requests to a target as clients of a disk do, without a driver or a device.
/// </summary>
/// <remarks>Each call is one request on a queue of its own, and returns when it is answered. A request that fails throws.</remarks>
/// <param name="target">The target, which stays the caller's.</param>
public sealed class TargetClient(BlockTarget target)
{
    private static readonly TimeSpan CompletionTimeout = TimeSpan.FromSeconds(20);

    /// <summary>Reads whole blocks.</summary>
    /// <param name="offset">The offset on the disk, in bytes.</param>
    /// <param name="length">The length in bytes.</param>
    /// <exception cref="UblkException">The target fails, or takes too long; see the errno.</exception>
    public byte[] Read(long offset, int length)
    {
        byte[] data = new byte[length];
        Submit(IoOperation.Read, offset, length, data);
        return data;
    }

    /// <summary>Writes whole blocks.</summary>
    /// <param name="offset">The offset on the disk, in bytes.</param>
    /// <param name="data">The data.</param>
    /// <exception cref="UblkException">The target fails, or takes too long; see the errno.</exception>
    public void Write(long offset, byte[] data)
    {
        ArgumentNullException.ThrowIfNull(data);
        Submit(IoOperation.Write, offset, data.Length, data);
    }

    /// <summary>Flushes: makes all completed writes durable.</summary>
    /// <exception cref="UblkException">The target fails, or takes too long; see the errno.</exception>
    public void Flush() => Submit(IoOperation.Flush, 0, 0, []);

    /// <summary>Discards a range.</summary>
    /// <param name="offset">The offset on the disk, in bytes.</param>
    /// <param name="length">The length in bytes.</param>
    /// <exception cref="UblkException">The target fails, or takes too long; see the errno.</exception>
    public void Discard(long offset, long length) => Submit(IoOperation.Discard, offset, length, []);

    /// <summary>Zeroes a range.</summary>
    /// <param name="offset">The offset on the disk, in bytes.</param>
    /// <param name="length">The length in bytes.</param>
    /// <exception cref="UblkException">The target fails, or takes too long; see the errno.</exception>
    public void WriteZeroes(long offset, long length) => Submit(IoOperation.WriteZeroes, offset, length, []);

    // A queue belongs to one thread.
    private void Submit(IoOperation operation, long offset, long length, byte[] data)
    {
        ExceptionDispatchInfo? failure = null;
        Thread thread = new(() =>
        {
            try
            {
                Answer(operation, offset, length, data);
            }
            catch (Exception exception)
            {
                failure = ExceptionDispatchInfo.Capture(exception);
            }
        });
        thread.Start();
        thread.Join();
        failure?.Throw();
    }

    private void Answer(IoOperation operation, long offset, long length, byte[] data)
    {
        using IoQueue queue = new(1, [], target.Files);
        using BufferMemory memory = new(1, int.Max(1, (data.Length + 4095) / 4096) * 4096);
        IoRequest request = new IoRequest(queue, 0, 0).Derive(operation, offset, length, new IoBuffer(memory.AddressOf(0), data.Length));
        if (operation == IoOperation.Write)
        {
            data.CopyTo(request.Buffer.Span);
        }

        IoTask<int> answer = target.HandleAsync(request);
        while (!answer.IsCompleted)
        {
            Check(queue.RunTurn(CompletionTimeout), operation);
        }

        Check(RequestResult.ForDriver(request, answer.GetAwaiter().GetResult()), operation);
        if (operation == IoOperation.Read)
        {
            request.Buffer.Span.CopyTo(data);
        }
    }

    private static void Check(int result, IoOperation operation)
    {
        if (result < 0)
        {
            throw UblkException.FromErrno(-result, operation.ToString(), $"The target failed a {operation}");
        }
    }
}

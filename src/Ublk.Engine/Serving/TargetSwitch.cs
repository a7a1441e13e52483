using Ublk.Interop;
using Ublk.Io;
using Ublk.Targets;

namespace Ublk.Serving;

/// <summary>Exchanges the target of a device that is served. No request fails and none is lost; the driver takes no part in it.</summary>
/// <remarks>
/// Either at once, where both targets use the same files: requests in flight are answered by the former. Or between <see cref="Hold"/>
/// and <see cref="Release"/>, while no request is in flight and new ones wait. Used by one thread at a time, never by a queue thread.
/// </remarks>
/// <param name="id">The device.</param>
/// <param name="threads">The threads of its queues.</param>
internal sealed class TargetSwitch(int id, IReadOnlyList<QueueThread> threads)
{
    private static readonly TimeSpan CheckInterval = TimeSpan.FromMilliseconds(20);

    /// <summary>Has new requests answered by another target on the same files.</summary>
    public void Exchange(BlockTarget target) => InvokeAll(loop => loop.Exchange(target));

    /// <summary>Holds new requests, and waits until those in flight are answered.</summary>
    /// <param name="target">What answers the requests now; they go on with it if they cannot be held.</param>
    /// <param name="timeout">How long to wait.</param>
    /// <param name="check">Called while it waits; throws where the wait is to end.</param>
    /// <exception cref="UblkException">
    /// Requests in flight are not answered in time, or the device has ended; no request is held.
    /// </exception>
    public void Hold(BlockTarget target, TimeSpan timeout, Action check)
    {
        Deadline deadline = new(timeout);
        using SemaphoreSlim idle = new(0);
        try
        {
            foreach (QueueThread thread in threads)
            {
                Invoke(thread, loop => loop.Hold(() => idle.Release()));
            }

            for (int count = 0; count < threads.Count;)
            {
                if (idle.Wait(CheckInterval))
                {
                    count++;
                    continue;
                }

                check();
                if (deadline.IsOver)
                {
                    throw new UblkException(UblkError.TimedOut,
                        $"Device {id} has requests that were not completed within {timeout.TotalSeconds} s, so nothing was changed. A "
                            + $"filter such as HangEvery, a low limit, or storage that does not respond may delay them: Get-UblkDevice "
                            + $"{id}, Get-UblkLog {id}",
                        Libc.ETIMEDOUT, "hold", id);
                }
            }
        }
        catch
        {
            Release(target);
            throw;
        }
    }

    /// <summary>While requests are held: has a target make all it has written durable.</summary>
    /// <exception cref="UblkException">It fails, or the device has ended.</exception>
    public void Flush(BlockTarget target) =>
        Send(target, IoOperation.Flush, 0, default, "flush", "What was written to the disk cannot be made durable");

    /// <summary>Reads from the target, beside the requests of the driver.</summary>
    /// <param name="target">The target that is served, or what is behind it.</param>
    /// <param name="offset">The first byte.</param>
    /// <param name="buffer">Memory for the data, at most of the target's maximum request size.</param>
    /// <param name="failure">What failed, in words, if it fails.</param>
    /// <exception cref="UblkException">It fails, or the device has ended.</exception>
    public void Read(BlockTarget target, long offset, IoBuffer buffer, string failure) =>
        Send(target, IoOperation.Read, offset, buffer, "read", failure);

    /// <summary>While requests are held: takes the files of the former target away from the queues, so that it can close them.</summary>
    /// <exception cref="UblkException">The kernel refuses it.</exception>
    public void Detach() => InvokeAll(loop => loop.ReplaceFiles([]));

    /// <summary>While requests are held: gives the files of the next target to the queues.</summary>
    /// <exception cref="UblkException">The kernel refuses them.</exception>
    public void Attach(BlockTarget target) => InvokeAll(loop => loop.ReplaceFiles(target.Files));

    /// <summary>Lets the held requests go on.</summary>
    /// <param name="target">What answers them and all that follow.</param>
    public void Release(BlockTarget target) => InvokeAll(loop => loop.Release(target));

    private void Send(BlockTarget target, IoOperation operation, long offset, IoBuffer buffer, string step, string failure)
    {
        TaskCompletionSource<int> answer = new(TaskCreationOptions.RunContinuationsAsynchronously);
        Invoke(threads[0], loop => loop.Send(target, operation, offset, buffer, answer));
        int result = answer.Task.GetAwaiter().GetResult();
        if (result < 0)
        {
            throw UblkException.FromErrno(-result, step, failure);
        }
    }

    private void Invoke(QueueThread thread, Action<QueueLoop> action)
    {
        if (!thread.TryInvoke(action))
        {
            throw new UblkException(UblkError.DeviceStateInvalid,
                $"Device {id} has been stopped or removed, so nothing was changed.", Libc.ENODEV, "change", id);
        }
    }

    // A thread that has ended has no requests. The others may still have some.
    private void InvokeAll(Action<QueueLoop> action)
    {
        foreach (QueueThread thread in threads)
        {
            thread.TryInvoke(action);
        }
    }
}

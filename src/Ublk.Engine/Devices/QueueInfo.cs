namespace Ublk.Devices;

/// <summary>A thread that serves a hardware queue of a device: the only one, unless the device has several for each.</summary>
/// <param name="Id">The queue's number, from 0.</param>
/// <param name="ThreadId">The kernel's id of the thread.</param>
/// <param name="Affinity">The CPUs the thread may run on, as a list such as <c>0-3</c>.</param>
public sealed record QueueInfo(int Id, int ThreadId, string Affinity)
{
    /// <inheritdoc/>
    public override string ToString() => $"{Id}: thread {ThreadId} on CPU {Affinity}";
}

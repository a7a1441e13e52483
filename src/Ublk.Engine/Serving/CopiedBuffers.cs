using Ublk.Interop;

namespace Ublk.Serving;

/// <summary>A thread's data in the mode where the driver copies: it knows a buffer for each of its tags.</summary>
internal sealed unsafe class CopiedBuffers : RequestBuffers
{
    private readonly BufferMemory _memory;

    /// <summary>Reserves the buffers.</summary>
    /// <param name="count">The thread's tags.</param>
    /// <param name="maxIoSize">Bytes of the greatest request; a multiple of the page size.</param>
    /// <exception cref="UblkException">There is no address space.</exception>
    public CopiedBuffers(int count, int maxIoSize) => _memory = new BufferMemory(count, maxIoSize);

    /// <inheritdoc/>
    public override bool CanGiveBack => true;

    /// <inheritdoc/>
    public override IoBuffer Of(int slot, int length) => new(_memory.AddressOf(slot), length);

    /// <inheritdoc/>
    public override void Describe(IoUringSqe* entry, int slot) =>
        ((UblkIoCommand*)&entry->Command)->Address = (ulong)_memory.AddressOf(slot);

    /// <inheritdoc/>
    public override void GiveBack() => _memory.GiveBack();

    /// <inheritdoc/>
    public override void Dispose()
    {
        _memory.Dispose();
        base.Dispose();
    }
}

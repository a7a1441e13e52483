using Ublk.Interop;

namespace Ublk.Serving;

/// <summary>A queue's data in the mode where the driver copies: it knows a buffer for each tag.</summary>
internal sealed unsafe class CopiedBuffers : RequestBuffers
{
    private readonly BufferMemory _memory;

    /// <summary>Reserves the buffers.</summary>
    /// <param name="depth">The queue's depth.</param>
    /// <param name="maxIoSize">Bytes of the greatest request; a multiple of the page size.</param>
    /// <exception cref="UblkException">There is no address space.</exception>
    public CopiedBuffers(int depth, int maxIoSize) => _memory = new BufferMemory(depth, maxIoSize);

    /// <inheritdoc/>
    public override bool CanGiveBack => true;

    /// <inheritdoc/>
    public override IoBuffer Of(int tag, int length) => new(_memory.AddressOf(tag), length);

    /// <inheritdoc/>
    public override void Describe(IoUringSqe* entry, int tag) =>
        ((UblkIoCommand*)&entry->Command)->Address = (ulong)_memory.AddressOf(tag);

    /// <inheritdoc/>
    public override void GiveBack() => _memory.GiveBack();

    /// <inheritdoc/>
    public override void Dispose()
    {
        _memory.Dispose();
        base.Dispose();
    }
}

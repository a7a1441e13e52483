using Ublk.Interop;
using Ublk.Io;

namespace Ublk.Serving;

/// <summary>A thread's data in the mode where the driver copies: each tag has a registered buffer.</summary>
internal sealed unsafe class KernelCopyBuffers : RequestBuffers
{
    private readonly BufferMemory _memory;
    private readonly bool _isPopulated;

    /// <summary>Reserves the buffers.</summary>
    /// <param name="count">The thread's tags.</param>
    /// <param name="maxIoSize">Bytes of the greatest request; a multiple of the page size.</param>
    /// <param name="populate">Whether to take all memory now and keep it.</param>
    /// <exception cref="UblkException">There is no address space, or not enough memory.</exception>
    public KernelCopyBuffers(int count, int maxIoSize, bool populate = false)
    {
        _memory = new BufferMemory(count, maxIoSize);
        _isPopulated = populate;
        if (populate)
        {
            try
            {
                _memory.Populate();
            }
            catch
            {
                Dispose();
                throw;
            }
        }
    }

    /// <inheritdoc/>
    public override bool CanTrim => !_isPopulated;

    /// <inheritdoc/>
    public override IoBuffer Of(int slot, int length) => new(_memory.AddressOf(slot), length);

    /// <inheritdoc/>
    public override void Prepare(IoUringSqe* entry, int slot) =>
        ((UblkIoCommand*)&entry->Command)->Address = (ulong)_memory.AddressOf(slot);

    /// <inheritdoc/>
    public override void Trim() => _memory.Trim();

    /// <inheritdoc/>
    public override void Dispose()
    {
        _memory.Dispose();
        base.Dispose();
    }
}

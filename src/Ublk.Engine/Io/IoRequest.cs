namespace Ublk.Io;

/// <summary>The operation of a request (ublk_cmd.h: UBLK_IO_OP_*).</summary>
public enum IoOperation : byte
{
    /// <summary>Fill the buffer.</summary>
    Read = 0,

    /// <summary>Store the buffer.</summary>
    Write = 1,

    /// <summary>Make every write that has completed durable.</summary>
    Flush = 2,

    /// <summary>The range's content is not needed any more.</summary>
    Discard = 3,

    /// <summary>The range must read as zeroes.</summary>
    WriteZeroes = 5,
}

/// <summary>One request of a disk's client. The object belongs to its tag and is reused for the tag's next request.</summary>
public sealed class IoRequest
{
    private IoRequest? _derived;
    private IoRequest? _twin;

    internal IoRequest(IoQueue queue, int tag, int slot)
    {
        Queue = queue;
        Tag = tag;
        Slot = slot;
    }

    /// <summary>The queue the request came on; its file operations run on that queue's ring.</summary>
    public IoQueue Queue { get; }

    /// <summary>The request's number within its queue.</summary>
    public int Tag { get; }

    /// <summary>The place of the request's data among the buffers of its thread.</summary>
    internal int Slot { get; }

    /// <summary>The operation.</summary>
    public IoOperation Operation { get; private set; }

    /// <summary>A write must be durable before it completes (force unit access).</summary>
    public bool IsForceUnitAccess { get; private set; }

    /// <summary>Zeroed blocks must stay allocated.</summary>
    public bool MustStayAllocated { get; private set; }

    /// <summary>The offset of the range on the disk, in bytes; 0 for a flush.</summary>
    public long Offset { get; private set; }

    /// <summary>The length of the range in bytes; 0 for a flush.</summary>
    public long Length { get; private set; }

    /// <summary>The data of a read or a write; empty for the others.</summary>
    public IoBuffer Buffer { get; private set; }

    /// <summary>
    /// A request by which a filter asks the target behind it for something else. There is one at a time for each request.
    /// </summary>
    /// <param name="operation">What is to be done.</param>
    /// <param name="offset">The first byte of the range.</param>
    /// <param name="length">Bytes in the range.</param>
    /// <param name="buffer">The data of a read or a write.</param>
    internal IoRequest Derive(IoOperation operation, long offset, long length, IoBuffer buffer)
    {
        IoRequest derived = _derived ??= new IoRequest(Queue, Tag, Slot);
        derived.Operation = operation;
        derived.Offset = offset;
        derived.Length = length;
        derived.Buffer = buffer;
        derived.IsForceUnitAccess = IsForceUnitAccess;
        derived.MustStayAllocated = MustStayAllocated;
        return derived;
    }

    /// <summary>The same request for another target at the same time. There is one for each request.</summary>
    internal IoRequest Twin()
    {
        IoRequest twin = _twin ??= new IoRequest(Queue, Tag, Slot);
        twin.Load(Operation, IsForceUnitAccess, MustStayAllocated, Offset, Length, Buffer);
        return twin;
    }

    /// <summary>The same request, to be durable before it completes. It is the one derived request that there is at a time.</summary>
    internal IoRequest DeriveDurable()
    {
        IoRequest derived = Derive(Operation, Offset, Length, Buffer);
        derived.IsForceUnitAccess = true;
        return derived;
    }

    /// <summary>Makes the object the tag's next request.</summary>
    internal void Load(IoOperation operation, bool isForceUnitAccess, bool mustStayAllocated, long offset, long length, IoBuffer buffer)
    {
        Operation = operation;
        IsForceUnitAccess = isForceUnitAccess;
        MustStayAllocated = mustStayAllocated;
        Offset = offset;
        Length = length;
        Buffer = buffer;
    }
}

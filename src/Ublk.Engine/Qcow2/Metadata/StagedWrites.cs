using Ublk.Files;
using Ublk.Io;

namespace Ublk.Qcow2.Metadata;

/// <summary>Metadata copied at one instant, to be written while the original changes.</summary>
/// <param name="pool">Where the copies' memory comes from.</param>
internal sealed class StagedWrites(BufferPool pool)
{
    private readonly List<Write> _writes = [];

    /// <summary>Whether there is nothing to write.</summary>
    public bool IsEmpty => _writes.Count == 0;

    /// <summary>Copies bytes that belong at an offset of the image.</summary>
    public void Add(ReadOnlySpan<byte> bytes, long offset)
    {
        while (bytes.Length > 0)
        {
            int room = AppendLength(offset);
            if (room == 0)
            {
                _writes.Add(new Write(pool.Rent(), 0, offset));
                room = pool.BufferLength;
            }

            Write last = _writes[^1];
            int length = int.Min(room, bytes.Length);
            bytes[..length].CopyTo(last.Buffer.Span[last.Length..]);
            _writes[^1] = last with { Length = last.Length + length };
            bytes = bytes[length..];
            offset += length;
        }
    }

    /// <summary>Writes all; stops at the first failure.</summary>
    public async IoTask<int> WriteAsync(ImageFile file)
    {
        int result = 0;
        for (int index = 0; index < _writes.Count && result == 0; index++)
        {
            Write write = _writes[index];
            result = await file.WriteAsync(write.Buffer.Part(0, write.Length), write.Offset);
        }

        return result;
    }

    /// <summary>Forgets everything.</summary>
    public void Clear()
    {
        foreach (Write write in _writes)
        {
            pool.Return(write.Buffer);
        }

        _writes.Clear();
    }

    // What follows the last bytes directly goes into the same write.
    private int AppendLength(long offset) =>
        _writes.Count > 0 && _writes[^1] is { } last && last.Offset + last.Length == offset ? pool.BufferLength - last.Length : 0;

    private readonly record struct Write(AlignedBuffer Buffer, int Length, long Offset);
}

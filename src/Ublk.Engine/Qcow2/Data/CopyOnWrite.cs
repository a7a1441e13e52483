using Ublk.Io;
using Ublk.Qcow2.State;

namespace Ublk.Qcow2.Data;

/// <summary>Fills the place of new clusters: with the data, and with what was around it on the disk before.</summary>
internal sealed class CopyOnWrite(ImageState image, ImageReader reader)
{
    /// <summary>Writes data and its surroundings.</summary>
    /// <returns>0 or a negative errno.</returns>
    public async IoTask<int> WriteAsync(IoBuffer data, long offset, CopyOnWritePlan plan, GuestRange range)
    {
        long place = range.HostOffset + offset - (range.First << image.Layout.ClusterBits);
        if (plan.IsInPlace && !image.HasDataFile && image.Metadata.Overlaps(place, data.Length))
        {
            return await image.Health.MarkCorruptAsync();
        }

        int head = (int)(offset - plan.Start);
        int tail = (int)(LimitOf(plan.End) - (offset + data.Length));
        head = range.IsVirgin && reader.ReadsAsZeroes(plan.Start, head) ? 0 : head;
        tail = range.IsVirgin && reader.ReadsAsZeroes(offset + data.Length, tail) ? 0 : int.Max(tail, 0);
        if (head == 0 && tail == 0)
        {
            return await image.Data.WriteAsync(data, place, offset);
        }

        image.Statistics.CopiesOnWrite.Add();
        if (head + data.Length + tail <= image.Chunks.BufferLength)
        {
            return await WriteWholeAsync(data, offset, place, head, tail);
        }

        int result = await CopyAsync(offset - head, place - head, head);
        result = result < 0 ? result : await image.Data.WriteAsync(data, place, offset);
        return result < 0 ? result : await CopyAsync(offset + data.Length, place + data.Length, tail);
    }

    // A data file ends with the disk; what is encrypted is filled whole, as a hole would not read as zeroes once the disk grows.
    private long LimitOf(long end)
    {
        int unit = int.Max(512, image.DataFile.Alignment);
        return image.HasDataFile && !image.Data.IsEncrypted ? long.Min(end, (image.Header.Size + unit - 1) / unit * unit) : end;
    }

    // All in one write.
    private async IoTask<int> WriteWholeAsync(IoBuffer data, long offset, long place, int head, int tail)
    {
        using RentedBuffer buffer = image.Chunks.Lend();
        int result = head == 0 ? 0 : await reader.ReadAsync(buffer.Part(0, head), offset - head);
        if (result == 0 && tail > 0)
        {
            result = await reader.ReadAsync(buffer.Part(head + data.Length, tail), offset + data.Length);
        }

        if (result == 0)
        {
            data.Span.CopyTo(buffer.Span[head..]);
            result = await image.Data.WriteAsync(buffer.Part(0, head + data.Length + tail), place - head, offset - head);
        }

        return result;
    }

    private async IoTask<int> CopyAsync(long offset, long place, int length)
    {
        if (length == 0)
        {
            return 0;
        }

        using RentedBuffer buffer = image.Chunks.Lend();
        int result = 0;
        while (length > 0 && result == 0)
        {
            IoBuffer part = buffer.Part(0, int.Min(length, buffer.Length));
            result = await reader.ReadAsync(part, offset);
            result = result < 0 ? result : await image.Data.WriteAsync(part, place, offset);
            offset += part.Length;
            place += part.Length;
            length -= part.Length;
        }

        return result;
    }
}

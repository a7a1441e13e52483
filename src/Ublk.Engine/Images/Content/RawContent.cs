using Ublk.Files;
using Ublk.Qcow2.Format;

namespace Ublk.Images.Content;

/// <summary>A raw image: the disk byte for byte, with the file's holes.</summary>
internal sealed class RawContent(DiskFile file) : ImageContent(file)
{
    // A last sector that the file ends inside of belongs to the disk.
    private const int Sector = 512;

    /// <inheritdoc/>
    public override ImageFormat Format => ImageFormat.Raw;

    /// <inheritdoc/>
    public override long Size { get; } = (file.Length + Sector - 1) / Sector * Sector;

    /// <inheritdoc/>
    protected override IEnumerable<ContentExtent> OwnExtents(long start, long end)
    {
        while (start < end)
        {
            (long dataStart, long dataEnd) = File.NextData(start);
            dataStart = dataStart >= File.Length ? end : long.Min(dataStart, end);
            dataEnd = dataEnd >= File.Length ? end : long.Min(dataEnd, end);
            if (dataStart > start)
            {
                yield return new ContentExtent(start, dataStart - start, ExtentKind.ZeroAllocated, start);
            }

            if (dataEnd > dataStart)
            {
                yield return new ContentExtent(dataStart, dataEnd - dataStart, ExtentKind.Data, dataStart);
            }

            start = long.Max(dataStart, dataEnd);
        }
    }
}

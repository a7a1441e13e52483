using Ublk.Qcow2.Format;

namespace Ublk.Images.Content;

/// <summary>A range of the disk that lies together in one layer.</summary>
/// <param name="Start">The first byte, on the disk.</param>
/// <param name="Length">Bytes.</param>
/// <param name="Kind">What it is.</param>
/// <param name="Offset">
/// The first byte in the layer's file, of <see cref="ExtentKind.Data"/> and <see cref="ExtentKind.ZeroAllocated"/>; of
/// <see cref="ExtentKind.Compressed"/>, that of the whole cluster's compressed data.
/// </param>
internal readonly record struct ContentExtent(long Start, long Length, ExtentKind Kind, long Offset = 0)
{
    /// <summary>Of <see cref="ExtentKind.Compressed"/>: bytes in the file that hold the compressed cluster.</summary>
    public int CompressedLength { get; init; }

    /// <summary>Of <see cref="ExtentKind.Compressed"/>: bytes of the cluster before the range.</summary>
    public int Skip { get; init; }

    /// <summary>The layer, for who reads it; null where no layer has it.</summary>
    public ImageContent? Layer { get; init; }

    /// <summary>How many layers are above that one.</summary>
    public int Depth { get; init; }

    /// <summary>The byte after the last, on the disk.</summary>
    public long End => Start + Length;

    /// <summary>The part that is inside a range; empty where there is none.</summary>
    public ContentExtent Clip(long start, long end)
    {
        long first = long.Clamp(Start, start, end);
        long last = long.Clamp(End, first, end);
        bool hasHostOffset = Kind is ExtentKind.Data or ExtentKind.ZeroAllocated;
        return this with
        {
            Start = first,
            Length = last - first,
            Offset = hasHostOffset ? Offset + (first - Start) : Offset,
            Skip = Kind == ExtentKind.Compressed ? Skip + (int)(first - Start) : 0,
        };
    }

    /// <summary>Whether another range continues this one.</summary>
    public bool IsContinuedBy(in ContentExtent next) =>
        next.Start == End && next.Kind == Kind && next.Layer == Layer && next.Depth == Depth && Kind switch
        {
            ExtentKind.Data or ExtentKind.ZeroAllocated => next.Offset == Offset + Length,
            ExtentKind.Compressed => next.Offset == Offset && next.Skip == Skip + Length,
            _ => true,
        };

    /// <summary>Joins ranges that continue each other.</summary>
    public static IEnumerable<ContentExtent> Join(IEnumerable<ContentExtent> extents)
    {
        ContentExtent current = default;
        foreach (ContentExtent next in extents)
        {
            if (current.Length > 0 && current.IsContinuedBy(next))
            {
                current = current with { Length = current.Length + next.Length };
                continue;
            }

            if (current.Length > 0)
            {
                yield return current;
            }

            current = next;
        }

        if (current.Length > 0)
        {
            yield return current;
        }
    }
}

using System.Buffers;
using Ublk.Images.Content;
using Ublk.Qcow2.AtRest;
using Ublk.Qcow2.Compression;
using Ublk.Qcow2.Format;

namespace Ublk.Images;

/// <summary>Copies the content of a disk: pieces are read and compressed side by side, and written in their order.</summary>
/// <param name="source">The disk.</param>
/// <param name="image">The new image.</param>
/// <param name="codec">What to compress clusters with; null to leave them as they are.</param>
/// <param name="progress">Receives the progress.</param>
internal sealed class ImageCopy(ImageContent source, NewImage image, ClusterCodec? codec, ImageProgress progress)
{
    private const int PieceSize = 2 << 20;

    // The unit in which a raw image leaves zeroes out: a block of most file systems.
    private const int HoleSize = 4096;

    // Each piece in flight has its buffer, and that of its compressed clusters: this bounds the memory.
    private static readonly int s_piecesAtOnce = Environment.ProcessorCount * 2;

    private readonly int _unit = image.Builder?.Layout.ClusterSize ?? HoleSize;

    /// <summary>Copies it.</summary>
    /// <exception cref="UblkException">Something cannot be read or written.</exception>
    /// <exception cref="OperationCanceledException">It is to stop.</exception>
    public void Run()
    {
        Queue<Task<Piece>> underWay = new();
        try
        {
            long done = 0;
            foreach (List<ContentExtent> extents in Pieces())
            {
                if (underWay.Count == s_piecesAtOnce)
                {
                    done = Finish(underWay.Dequeue(), done);
                }

                underWay.Enqueue(Task.Run(() => Prepare(extents)));
            }

            while (underWay.TryDequeue(out Task<Piece>? next))
            {
                done = Finish(next, done);
            }

            progress.Advance(source.Size - done);
        }
        finally
        {
            // They read files that are about to be closed.
            Task.WhenAll(underWay).ContinueWith(_ => { }, TaskScheduler.Default).Wait();
        }
    }

    // What has data, cut at multiples of the piece size. A piece is a run of extents that begins and ends where clusters do.
    private IEnumerable<List<ContentExtent>> Pieces()
    {
        List<ContentExtent> piece = [];
        long pieceEnd = 0;
        foreach (ContentExtent extent in ContentExtent.Join(source.Map())
            .Where(extent => extent.Kind is ExtentKind.Data or ExtentKind.Compressed))
        {
            for (long start = extent.Start; start < extent.End; start = long.Min(extent.End, pieceEnd))
            {
                if (start >= pieceEnd)
                {
                    if (piece.Count > 0)
                    {
                        yield return piece;
                    }

                    piece = [];
                    pieceEnd = (start / PieceSize * PieceSize) + PieceSize;
                }

                piece.Add(extent.Clip(start, pieceEnd));
            }
        }

        if (piece.Count > 0)
        {
            yield return piece;
        }
    }

    // On a thread of the pool.
    private Piece Prepare(List<ContentExtent> extents)
    {
        progress.Stop.ThrowIfCancellationRequested();
        long start = extents[0].Start / _unit * _unit;
        long end = (extents[^1].End + _unit - 1) / _unit * _unit;
        Piece piece = new(start, (int)(end - start), _unit);
        Span<byte> content = piece.Content;
        content.Clear();
        foreach (ContentExtent extent in extents)
        {
            extent.Layer!.Read(extent, content.Slice((int)(extent.Start - start), (int)extent.Length));
        }

        piece.Inspect(codec);
        return piece;
    }

    private long Finish(Task<Piece> task, long done)
    {
        using Piece piece = task.GetAwaiter().GetResult();
        piece.WriteTo(image, source.Size);
        progress.Advance(piece.End - done);
        return long.Min(piece.End, source.Size);
    }

    /// <summary>Some clusters of the disk, ready to be written.</summary>
    private sealed class Piece(long start, int length, int unit) : IDisposable
    {
        private readonly byte[] _content = ArrayPool<byte>.Shared.Rent(length);
        private readonly List<Unit> _units = [];
        private byte[] _compressed = [];

        public long End => start + length;

        public Span<byte> Content => _content.AsSpan(0, length);

        // Finds what is not zero, and compresses it.
        public void Inspect(ClusterCodec? codec)
        {
            if (codec is not null)
            {
                _compressed = ArrayPool<byte>.Shared.Rent(length);
            }

            int used = 0;
            for (int position = 0; position < length; position += unit)
            {
                ReadOnlySpan<byte> cluster = Content.Slice(position, unit);
                if (!cluster.ContainsAnyExcept((byte)0))
                {
                    continue;
                }

                // Worth it only where it saves something.
                int compressed = codec?.TryCompress(cluster, _compressed.AsSpan(used, unit - 1)) ?? 0;
                _units.Add(new Unit(position, used, compressed));
                used += compressed;
            }
        }

        public void WriteTo(NewImage image, long size)
        {
            foreach (Unit one in _units)
            {
                long position = start + one.Position;
                ReadOnlySpan<byte> content = Content.Slice(one.Position, unit);
                if (image.Builder is not { } builder)
                {
                    image.DataFile.Write(content[..(int)long.Min(unit, size - position)], position);
                }
                else if (one.CompressedLength > 0)
                {
                    builder.WriteCompressed(position, _compressed.AsSpan(one.CompressedOffset, one.CompressedLength));
                }
                else
                {
                    builder.Write(position, content);
                }
            }
        }

        public void Dispose()
        {
            ArrayPool<byte>.Shared.Return(_content);
            if (_compressed.Length > 0)
            {
                ArrayPool<byte>.Shared.Return(_compressed);
            }
        }

        private readonly record struct Unit(int Position, int CompressedOffset, int CompressedLength);
    }
}

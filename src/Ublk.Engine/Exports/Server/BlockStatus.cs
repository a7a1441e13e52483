using System.Buffers.Binary;
using Ublk.Io;
using Ublk.Targets.Nbd;

namespace Ublk.Exports.Server;

/// <summary>Replies to requests for block status: a chunk for each context that the client has chosen.</summary>
/// <param name="disk">The export.</param>
/// <param name="agreement">What was agreed on.</param>
internal sealed class BlockStatus(ExportedDisk disk, ClientAgreement agreement)
{
    // Of a context, in one reply: a client asks again from where it ends.
    private const int MaxExtents = 4096;

    private readonly bool _isExtended = agreement.Headers == NbdHeaderForm.Extended;

    /// <summary>Whether the client has chosen any context.</summary>
    public bool IsOffered => agreement.Contexts.Count > 0;

    /// <summary>Writes a reply.</summary>
    /// <param name="request">The request, whose range is on the disk.</param>
    /// <param name="room">Where it goes.</param>
    /// <returns>Its length, or a negative errno.</returns>
    public int Write(in NbdRequest request, Span<byte> room)
    {
        int length = 0;
        int extentLength = 2 * (_isExtended ? sizeof(ulong) : sizeof(uint));
        int most = (request.Flags & NbdCommandFlags.ReqOne) != 0 ? 1 : int.Min(MaxExtents, room.Length / agreement.Contexts.Count / 32);
        try
        {
            for (int index = 0; index < agreement.Contexts.Count; index++)
            {
                int context = agreement.Contexts[index];
                int header = NbdHeaders.ChunkLength(agreement.Headers);
                int place = header + sizeof(uint) + (_isExtended ? sizeof(uint) : 0);
                Span<byte> chunk = room[length..];
                int count = 0;
                foreach (MetadataExtent extent in Join(disk.Contexts[context].Describe(
                    (long)request.Offset, (long)(request.Offset + request.Length))))
                {
                    WriteExtent(chunk[(place + (count * extentLength))..], extent);
                    if (++count == most)
                    {
                        break;
                    }
                }

                BinaryPrimitives.WriteInt32BigEndian(chunk[header..], context);
                if (_isExtended)
                {
                    BinaryPrimitives.WriteInt32BigEndian(chunk[(header + sizeof(uint))..], count);
                }

                place += count * extentLength;
                NbdHeaders.WriteChunk(chunk, agreement.Headers, request, isDone: index == agreement.Contexts.Count - 1,
                    _isExtended ? NbdChunkType.ExtendedBlockStatus : NbdChunkType.BlockStatus, place - header);
                length += place;
            }

            return length;
        }
        catch (Exception exception)
        {
            return RequestResult.ForException(exception);
        }
    }

    private void WriteExtent(Span<byte> room, MetadataExtent extent)
    {
        if (_isExtended)
        {
            BinaryPrimitives.WriteInt64BigEndian(room, extent.Length);
            BinaryPrimitives.WriteUInt64BigEndian(room[sizeof(ulong)..], extent.Flags);
        }
        else
        {
            BinaryPrimitives.WriteUInt32BigEndian(room, (uint)extent.Length);
            BinaryPrimitives.WriteUInt32BigEndian(room[sizeof(uint)..], extent.Flags);
        }
    }

    // Neighbours of which the context says the same.
    private static IEnumerable<MetadataExtent> Join(IEnumerable<MetadataExtent> extents)
    {
        MetadataExtent current = default;
        foreach (MetadataExtent next in extents)
        {
            if (current.Length > 0 && current.Flags != next.Flags)
            {
                yield return current;
                current = next;
            }
            else
            {
                current = next with { Length = current.Length + next.Length };
            }
        }

        if (current.Length > 0)
        {
            yield return current;
        }
    }
}

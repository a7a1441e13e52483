using Ublk.Io;
using Ublk.Qcow2.Format;
using Ublk.Qcow2.State;

namespace Ublk.Qcow2.Metadata;

/// <summary>Makes the changes again, in memory, that a worker had made when it died.</summary>
/// <remarks>
/// Some of them may be in the image already, so each may be made twice. What the worker was about to free is lost to the image
/// until it is checked.
/// </remarks>
internal sealed class JournalReplay(ImageState image, L2Cache cache, TableWriter tables, ClusterAllocator allocator)
{
    // Places that are counted already, by the cluster of the disk that they are for: a flush may have come so far, or they
    // were given to something else.
    private readonly Dictionary<long, long> _suspects = [];

    // What an entry may be in the file: what it was before the first change, or what any change made of it.
    private readonly Dictionary<long, HashSet<ulong>?> _possible = [];

    // The record of an entry's last change, the only one that is made again: the file may have it already, and going through the
    // changes before it would give up the place that it has.
    private readonly Dictionary<long, int> _last = [];

    /// <summary>Makes the changes.</summary>
    /// <returns>0 or a negative errno.</returns>
    /// <exception cref="UblkException">The image is not the one that the worker left.</exception>
    public async IoTask<int> RunAsync(IReadOnlyList<JournalRecord> records)
    {
        ulong[] l1 = cache.L1.Entries.ToArray();
        for (int number = 0; number < records.Count; number++)
        {
            Note(records[number], number);
        }

        int result = 0;
        for (int number = 0; number < records.Count && result >= 0; number++)
        {
            JournalRecord record = records[number];
            result = record.Kind switch
            {
                JournalRecordKind.RefcountBlock => await allocator.AdoptBlockAsync((int)record.Position, (long)record.Value),
                JournalRecordKind.Table => await AdoptTableAsync((int)record.Position, (long)record.Value),
                JournalRecordKind.Entries => await ChangeAsync(record, number),
                _ => throw Changed(),
            };
        }

        if (result >= 0)
        {
            RequireUnused(l1);
        }

        // A new refcount block alone is a change, too: the next flush must write it, as the journal is cleared then.
        cache.NoteChange();

        return int.Min(result, 0);
    }

    private async IoTask<int> AdoptTableAsync(int l1Index, long offset)
    {
        int result = await allocator.AdoptAsync(offset);
        if (result < 0 || cache.L1Of(l1Index).Offset == offset)
        {
            return result;
        }

        if (!image.Metadata.Add(new HostRange(offset, 1)))
        {
            throw Changed();
        }

        if (result > 0)
        {
            _suspects[offset] = -1;
        }

        return cache.L1Of(l1Index).Offset == 0
            ? await tables.CreateAtAsync(l1Index, offset)
            : await tables.MoveToAsync(l1Index, offset);
    }

    private async IoTask<int> ChangeAsync(JournalRecord record, int recordNumber)
    {
        for (int number = 0; number < record.Count; number++)
        {
            long cluster = record.Position + number;
            if (_last[cluster] != recordNumber)
            {
                continue;
            }

            long offset = cluster << image.Layout.ClusterBits;
            L2Entry entry = WriteJournal.EntryOf(record, number, image.Layout.ClusterSize);
            int result = await tables.PrepareAsync(offset);
            if (result < 0 || tables.Find(offset) is not { } table)
            {
                return result < 0 ? result : throw Changed();
            }

            int index = image.Layout.L2Index(offset);
            L2Entry found = table.Read(index);
            if (_possible.Remove(cluster, out HashSet<ulong>? possible) && possible?.Contains(found.Descriptor) == false)
            {
                throw Changed();
            }

            if (!image.HasDataFile && !entry.IsCompressed && entry.Offset != 0)
            {
                result = image.Metadata.Overlaps(entry.Offset, image.Layout.ClusterSize)
                    ? throw Changed()
                    : await allocator.AdoptAsync(entry.Offset);
                if (result < 0)
                {
                    return result;
                }

                if (result > 0 && found.Offset != entry.Offset)
                {
                    _suspects[entry.Offset] = cluster;
                }
            }

            if (tables.Find(offset) != table)
            {
                throw Changed();
            }

            tables.Change(table, index, entry);
        }

        return 0;
    }

    // Of a record for several clusters, only the first one's former entry is known; the others are believed.
    private void Note(in JournalRecord record, int recordNumber)
    {
        if (record.Kind != JournalRecordKind.Entries)
        {
            return;
        }

        for (int number = 0; number < record.Count; number++)
        {
            long cluster = record.Position + number;
            _last[cluster] = recordNumber;
            if (!_possible.TryGetValue(cluster, out HashSet<ulong>? possible))
            {
                _possible[cluster] = possible = number == 0 ? [record.Former] : null;
            }

            possible?.Add(WriteJournal.EntryOf(record, number, image.Layout.ClusterSize).Descriptor);
        }
    }

    // Looks through the tables as they are in the file for what else has one of the places.
    private void RequireUnused(ulong[] l1)
    {
        ClusterLayout layout = image.Layout;
        ImageTables file = new(image.File, image.Header);
        for (int l1Index = 0; l1Index < l1.Length && _suspects.Count > 0; l1Index++)
        {
            if (new L1Entry(l1[l1Index]).Offset is not (> 0 and var tableOffset))
            {
                continue;
            }

            L2Words table = file.ReadL2(tableOffset);
            for (int index = 0; index < layout.L2Entries; index++)
            {
                L2Entry entry = table[index];
                long place = entry.IsCompressed ? layout.ClusterStart(entry.CompressedOffset(layout)) : entry.Offset;
                long cluster = ((long)l1Index << layout.L2Bits) + index;
                if (_suspects.TryGetValue(place, out long wanted) && wanted != cluster)
                {
                    throw Changed();
                }
            }
        }
    }

    private UblkException Changed() => new(UblkError.InvalidImage,
        $"{image.File.Path} is not as its last worker left it: another program changed it meanwhile. What was written to the disk after "
            + "its last flush is lost. Remove the device and attach the image again.", operation: "recover");
}

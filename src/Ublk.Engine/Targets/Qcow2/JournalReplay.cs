using System.Runtime.CompilerServices;
using Ublk.Serving;
using Ublk.Targets.Qcow2.Format;

namespace Ublk.Targets.Qcow2;

/// <summary>Makes the changes again that a worker had made in memory when it died.</summary>
/// <remarks>
/// Some of them may be in the image already, so each may be made twice. What the worker was about to free is lost to the image
/// until it is checked.
/// </remarks>
/// <param name="image">The image, just opened.</param>
/// <param name="cache">Its L2 tables.</param>
/// <param name="tables">Changes them.</param>
/// <param name="allocator">Has its reference counts.</param>
internal sealed class JournalReplay(ImageState image, L2Cache cache, TableWriter tables, ClusterAllocator allocator)
{
    /// <summary>Makes the changes, in memory.</summary>
    /// <returns>0 or a negative errno.</returns>
    /// <exception cref="UblkException">The image is not the one that the worker left.</exception>
    [AsyncMethodBuilder(typeof(IoTaskMethodBuilder<>))]
    public async ValueTask<int> RunAsync(IReadOnlyList<JournalRecord> records)
    {
        foreach (JournalRecord record in records)
        {
            int result = record.Kind switch
            {
                JournalRecordKind.RefcountBlock => await allocator.AdoptBlockAsync((int)record.Position, (long)record.Value),
                JournalRecordKind.Table => await AdoptTableAsync((int)record.Position, (long)record.Value),
                JournalRecordKind.Entries => await ChangeAsync(record),
                _ => throw Changed(),
            };
            if (result < 0)
            {
                return result;
            }
        }

        return 0;
    }

    [AsyncMethodBuilder(typeof(IoTaskMethodBuilder<>))]
    private async ValueTask<int> AdoptTableAsync(int l1Index, long offset)
    {
        int result = await allocator.AdoptAsync(offset);
        if (result < 0 || cache.GetL1(l1Index).Offset == offset)
        {
            return result;
        }

        image.Metadata.Add(new HostRange(offset, 1));
        return cache.GetL1(l1Index).Offset == 0
            ? await tables.CreateAtAsync(null, l1Index, offset)
            : await tables.MoveToAsync(null, l1Index, offset);
    }

    [AsyncMethodBuilder(typeof(IoTaskMethodBuilder<>))]
    private async ValueTask<int> ChangeAsync(JournalRecord record)
    {
        for (int number = 0; number < record.Count; number++)
        {
            long offset = (record.Position + number) << image.Layout.ClusterBits;
            L2Entry entry = WriteJournal.EntryOf(record, number, image.Layout.ClusterSize);
            int result = await tables.PrepareAsync(null, offset);
            if (result == 0 && !image.HasDataFile && !entry.IsCompressed && entry.Offset != 0)
            {
                result = await allocator.AdoptAsync(entry.Offset);
            }

            if (result < 0)
            {
                return result;
            }

            if (tables.Find(offset) is not { } table)
            {
                throw Changed();
            }

            int index = image.Layout.L2Index(offset);
            L2Entry found = table.Read(index);
            if (number == 0 && found.Descriptor != record.Former && found.Descriptor != entry.Descriptor)
            {
                throw Changed();
            }

            tables.Change(table, index, entry);
        }

        return 0;
    }

    private UblkException Changed() => new(UblkError.InvalidImage,
        $"{image.File.Path} is not as its last worker left it: another program changed it meanwhile. What was written to the disk after its "
            + "last flush is lost. Remove the device and attach the image anew.", operation: "recover");
}

using Ublk.Io;

namespace Ublk.Tests.Serving;

/// <summary>Plays requests on a disk and on a copy in memory, and compares what they read.</summary>
internal static class DiskReplay
{
    /// <summary>Plays requests one after the other.</summary>
    /// <param name="harness">The disk.</param>
    /// <param name="unit">The disk's logical block, to which requests are rounded.</param>
    /// <param name="model">The copy, as long as the disk.</param>
    /// <param name="requests">The requests: in sectors of 512 bytes, and the byte that a write fills in.</param>
    public static void Play(
        QueueHarness harness, int unit, byte[] model,
        IEnumerable<(IoOperation Operation, int Block, int Blocks, uint Flags, byte Fill)> requests)
    {
        foreach (var (operation, block, blocks, flags, fill) in requests)
        {
            int start = block * 512 / unit * unit;
            int length = operation == IoOperation.Flush
                ? 0
                : int.Min((blocks * 512 + unit - 1) / unit * unit, model.Length - start);
            byte[] data = new byte[length];
            Array.Fill(data, fill);
            int result = harness.Answer(QueueHarness.Describe(operation, start, length, flags), data);
            Assert.Equal(operation is IoOperation.Read or IoOperation.Write ? length : 0, result);
            switch (operation)
            {
                case IoOperation.Read:
                    Assert.True(model.AsSpan(start, length).SequenceEqual(data));
                    break;
                case IoOperation.Write:
                    data.CopyTo(model, start);
                    break;
                case IoOperation.Discard:
                case IoOperation.WriteZeroes:
                    model.AsSpan(start, length).Clear();
                    break;
            }
        }
    }
}

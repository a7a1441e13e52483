using Ublk.Serving;
using Ublk.Targets.Qcow2;
using Ublk.Tests.Targets.Qcow2.Crash;

namespace Ublk.Tests.Targets.Qcow2.Fuzz;

/// <summary>Uses an image that may be garbage as a disk is used: it is refused, requests fail, or they work; nothing else happens.</summary>
internal static class FuzzRun
{
    // What an image may make its reader take: its tables are bounded by the rules for headers, and its disk is not read whole.
    private const long MaxMemory = 256 << 20;

    /// <summary>Opens an image and does things to it.</summary>
    /// <returns>Whether it was opened.</returns>
    public static bool Go(IReadOnlyDictionary<string, byte[]> others, byte[] image, Random random)
    {
        SimulatedDisk disk = new(random);
        foreach ((string name, byte[] content) in others)
        {
            disk.Add(name, name == SimulatedImage.Name ? image : content);
        }

        long before = GC.GetAllocatedBytesForCurrentThread();
        bool isOpen = false;
        try
        {
            bool readOnly = random.Next(4) == 0;
            ImageOptions options = new() { ReadOnly = readOnly, CacheSize = 4096, Snapshot = random.Next(16) == 0 ? "one" : null };
            using Qcow2Layer layer = SimulatedImage.Open(disk, options, out ImageUpdater? updater);
            isOpen = true;
            Use(layer, updater, random);
        }
        catch (UblkException)
        {
        }

        long taken = GC.GetAllocatedBytesForCurrentThread() - before;
        Assert.True(taken < MaxMemory, $"{taken} bytes were taken.");
        return isOpen;
    }

    private static void Use(Qcow2Layer layer, ImageUpdater? updater, Random random)
    {
        using AlignedBuffer buffer = new(64 << 10);
        buffer.Span.Fill(0xA5);
        for (int number = 0; number < 12; number++)
        {
            long size = layer.Size / 512 * 512;
            if (size == 0)
            {
                break;
            }

            long near = random.Next(4) == 0 ? size : long.Min(size, 1 << 20);
            long offset = random.NextInt64(near / 512) * 512;
            int length = (int)long.Min(random.Next(1, 64) * 512, size - offset);
            IoBuffer part = buffer.Part(0, length);
            int kind = updater is null ? 0 : random.Next(6);
            ValueTask<int> answer = kind switch
            {
                0 or 1 => layer.Reader.ReadAsync(null, part, offset),
                2 => updater!.ZeroAsync(null, offset, length, ZeroKind.Discard, durable: false),
                3 => updater!.ZeroAsync(null, offset, length, (ZeroKind)random.Next(1, 3), durable: false),
                4 => updater!.FlushAsync(null),
                _ => updater!.WriteAsync(null, part, offset, durable: random.Next(4) == 0),
            };
            Assert.True(answer.IsCompleted, "A request waits for what never comes.");
            Assert.InRange(answer.GetAwaiter().GetResult(), -4095, 0);
        }

        updater?.Finish();
        updater?.Dispose();
    }
}

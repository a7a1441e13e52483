using Ublk.Files;
using Ublk.Io;
using Ublk.Qcow2.Data;
using Ublk.Qcow2.Format;
using Ublk.Qcow2.Opening;
using Ublk.Tests.Qcow2.Crash;

namespace Ublk.Tests.Qcow2;

/// <summary>An exception on the way, such as a lack of memory, fails one request and takes no lock with it.</summary>
public class Qcow2ExceptionTests
{
    private const int Cluster = 64 << 10;
    private const int Length = 4 << 20;

    // Without a queue a lock that is left taken is an exception of its own.
    [Theory]
    [InlineData("")]
    [InlineData("cluster_size=4k,refcount_bits=64")]
    public void The_next_requests_succeed_and_the_image_is_sound(string options)
    {
        using QemuImage image = new($"{Length}", options);
        byte[] content = File.ReadAllBytes(image.Path);
        int tries = 0;
        for (int failing = 0; failing == tries; failing++)
        {
            SimulatedDisk disk = new(new Random(1));
            disk.Add(SimulatedImage.Name, content);
            using Qcow2Layer layer = SimulatedImage.Open(disk, new ImageOptions(), out ImageUpdater? opened);
            ImageUpdater updater = opened!;
            int count = 0;
            disk.Fault = _ => count++ == failing ? throw new InsufficientMemoryException() : 0;
            using (updater)
            {
                tries += Attempt(() => Play(updater, 1)) ? 0 : 1;
                disk.Fault = null;
                Play(updater, 2);
                Assert.Equal(0, updater.Finish());
            }

            byte[] model = new byte[Length];
            model.AsSpan(512, 3 * Cluster).Fill(2);
            model.AsSpan(2 << 20, Cluster).Fill(2);
            Assert.Equal(model, SimulatedImage.Read(disk));
            Assert.Null(SimulatedImage.FindErrors(disk, leaksMatter: false));
        }

        Assert.True(tries > 10);
    }

    private static bool Attempt(Action action)
    {
        try
        {
            action();
            return true;
        }
        catch (InsufficientMemoryException)
        {
            return false;
        }
    }

    private static void Play(ImageUpdater updater, byte value)
    {
        using AlignedBuffer buffer = new(3 * Cluster);
        buffer.Span.Fill(value);
        foreach (IoTask<int> request in Requests(updater, buffer))
        {
            Assert.Equal(0, ImageFile.ResultOf(request));
        }
    }

    private static IEnumerable<IoTask<int>> Requests(ImageUpdater updater, AlignedBuffer buffer)
    {
        yield return updater.WriteAsync(buffer.Part(0, buffer.Length), 512, durable: false);
        yield return updater.WriteAsync(buffer.Part(0, Cluster), 1 << 20, durable: false);
        yield return updater.FlushAsync();
        yield return updater.ZeroAsync(1 << 20, Cluster, ZeroKind.Free, durable: false);
        yield return updater.WriteAsync(buffer.Part(0, Cluster), 2 << 20, durable: true);
        yield return updater.FlushAsync();
    }
}

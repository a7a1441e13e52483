using Ublk.Files;
using Ublk.Io;
using Ublk.Qcow2.Data;
using Ublk.Qcow2.Format;
using Ublk.Qcow2.Opening;
using Ublk.Qcow2.State;
using Ublk.Tests.Qcow2.Crash;

namespace Ublk.Tests.Qcow2.Fuzz;

/// <summary>
/// Uses images that may be garbage as disks are used: each is refused, requests fail, or they work; nothing else happens.
/// </summary>
internal sealed class FuzzRun : IDisposable
{
    // What an image may make its reader take: its tables are bounded by the rules for headers, and its disk is not read whole.
    private const long MaxMemory = 256 << 20;

    private readonly Dictionary<string, FuzzFile> _files = [];
    private readonly AlignedBuffer _buffer = new(64 << 10);

    /// <summary>Opens an image and does things to it.</summary>
    /// <param name="files">The files there are.</param>
    /// <param name="image">What the image has instead.</param>
    /// <param name="random">Chooses.</param>
    /// <returns>Whether it was opened.</returns>
    public bool Go(IReadOnlyDictionary<string, byte[]> files, byte[] image, Random random)
    {
        foreach ((string name, byte[] content) in files)
        {
            if (!_files.TryGetValue(name, out FuzzFile? file))
            {
                _files[name] = file = new FuzzFile();
            }

            file.Fill(name == SimulatedImage.Name ? image : content);
        }

        long before = GC.GetAllocatedBytesForCurrentThread();
        bool isOpen = false;
        try
        {
            bool readOnly = random.Next(4) == 0;
            ImageOptions options = new() { ReadOnly = readOnly, CacheSize = 4096, Snapshot = random.Next(16) == 0 ? "one" : null };
            using Qcow2Layer layer = new ImageOpener(Open, options).Open(SimulatedImage.Name, out ImageUpdater? updater);
            isOpen = true;
            ReadBitmaps(layer.State);
            Use(layer, updater, random);
        }
        catch (UblkException)
        {
        }

        long taken = GC.GetAllocatedBytesForCurrentThread() - before;
        Assert.True(taken < MaxMemory, $"{taken} bytes were taken.");
        return isOpen;
    }

    /// <inheritdoc/>
    public void Dispose() => _buffer.Dispose();

    private ImageFile Open(string path, bool readOnly, int maxAlignment) => _files.TryGetValue(Path.GetFileName(path), out FuzzFile? file)
        ? file.Open(path, readOnly)
        : throw new UblkException(UblkError.PathNotFound, $"There is no file {path}.");

    private static void ReadBitmaps(ImageState image)
    {
        try
        {
            new ImageTables(image.File, image.Header).ReadBitmaps();
        }
        catch (UblkException)
        {
        }
    }

    private void Use(Qcow2Layer layer, ImageUpdater? updater, Random random)
    {
        _buffer.Span.Fill(0xA5);
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
            IoBuffer part = _buffer.Part(0, length);
            int kind = updater is null ? 0 : random.Next(6);
            IoTask<int> answer = kind switch
            {
                0 or 1 => layer.Reader.ReadAsync(part, offset),
                2 => updater!.ZeroAsync(offset, length, ZeroKind.Discard, durable: false),
                3 => updater!.ZeroAsync(offset, length, (ZeroKind)random.Next(1, 3), durable: false),
                4 => updater!.FlushAsync(),
                _ => updater!.WriteAsync(part, offset, durable: random.Next(4) == 0),
            };
            Assert.True(answer.IsCompleted, "A request waits for what never comes.");
            Assert.InRange(answer.GetAwaiter().GetResult(), -4095, 0);
        }

        updater?.Finish();
        updater?.Dispose();
    }
}

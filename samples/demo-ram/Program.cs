// A disk in memory that gives back what is discarded, and tells at the end what was asked of it.
using System.Runtime.InteropServices;
using Ublk.Devices;
using Ublk.Serving;
using Ublk.Targets;

using CancellationTokenSource stop = new();
using PosixSignalRegistration terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);
using PosixSignalRegistration interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop);
using RamDisk disk = new(256 << 20);
await using (BlockDevice device = await BlockDevice.OpenAsync(disk, cancellation: stop.Token))
{
    Console.WriteLine(device.DevicePath);
    await device.RunAsync(stop.Token);
}

Console.WriteLine(disk);

void Stop(PosixSignalContext context)
{
    context.Cancel = true;
    stop.Cancel();
}

internal sealed class RamDisk(long size) : BlockTarget
{
    private const int Chunk = 64 << 10;
    private static readonly byte[] s_zeroes = new byte[Chunk];
    private readonly byte[]?[] _chunks = new byte[size / Chunk][];
    private readonly long[] _counts = new long[(int)IoOperation.WriteZeroes + 1];

    public override TargetGeometry Geometry { get; } = new() { Size = size, DiscardGranularity = Chunk };

    // The device has one queue, so one thread does all of this.
    public override ValueTask<int> HandleAsync(IoRequest request)
    {
        _counts[(int)request.Operation]++;
        for (long done = 0; done < request.Length;)
        {
            (int index, int start) = ((int)((request.Offset + done) / Chunk), (int)((request.Offset + done) % Chunk));
            int length = (int)long.Min(Chunk - start, request.Length - done);
            Work(request, index, start, (int)done, length);
            done += length;
        }

        return new ValueTask<int>(0);
    }

    public override string ToString() => $"{_counts[0]} reads, {_counts[1]} writes, {_counts[3]} discards, {_chunks.Count(chunk => chunk is not null) * Chunk} bytes in use";

    private void Work(IoRequest request, int index, int start, int done, int length)
    {
        if (request.Operation == IoOperation.Write)
        {
            request.Buffer.Span.Slice(done, length).CopyTo((_chunks[index] ??= new byte[Chunk]).AsSpan(start));
        }
        else if (request.Operation == IoOperation.Read)
        {
            (_chunks[index] ?? s_zeroes).AsSpan(start, length).CopyTo(request.Buffer.Span[done..]);
        }
        else if (request.Operation == IoOperation.Discard && length == Chunk)
        {
            _chunks[index] = null;
        }
    }
}

using System.Runtime.InteropServices;
using Ublk.Hosting;
using Ublk.Io;
using Ublk.Targets;

// A disk in memory that gives back what is discarded, and tells at the end what was asked of it.

using CancellationTokenSource stop = new();
Action<PosixSignalContext> onSignal = context => { context.Cancel = true; stop.Cancel(); };
using PosixSignalRegistration terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, onSignal);
using PosixSignalRegistration interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, onSignal);
using RamDisk disk = new(256 << 20);
await using (BlockDevice device = await BlockDevice.OpenAsync(disk, cancellation: stop.Token))
{
    Console.WriteLine(device.DevicePath);
    await device.RunAsync(stop.Token);
}

Console.WriteLine(disk);

internal sealed class RamDisk(long size) : BlockTarget
{
    private const int Chunk = 64 << 10;
    private static readonly byte[] s_zeroes = new byte[Chunk];
    private readonly byte[]?[] _chunks = new byte[size / Chunk][];
    private long _reads, _writes, _discards;

    public override TargetGeometry Geometry { get; } = new() { Size = size, DiscardGranularity = Chunk };

    // The device has one queue, so one thread does all of this.
    public override IoTask<int> HandleAsync(IoRequest request)
    {
        _ = request.Operation switch { IoOperation.Read => _reads++, IoOperation.Write => _writes++, _ => _discards++ };
        for (int done = 0, length; done < request.Length; done += length)
        {
            int index = (int)((request.Offset + done) / Chunk);
            int start = (int)((request.Offset + done) % Chunk);
            length = (int)long.Min(Chunk - start, request.Length - done);
            switch (request.Operation)
            {
                case IoOperation.Read:
                    (_chunks[index] ?? s_zeroes).AsSpan(start, length).CopyTo(request.Buffer.Span[done..]);
                    break;
                case IoOperation.Write:
                    request.Buffer.Span.Slice(done, length).CopyTo((_chunks[index] ??= new byte[Chunk]).AsSpan(start));
                    break;
                case IoOperation.Discard when length == Chunk:
                    _chunks[index] = null;
                    break;
            }
        }

        return 0;
    }

    public override string ToString() =>
        $"{_reads} reads, {_writes} writes, {_discards} discards; {_chunks.Count(chunk => chunk is not null)} chunks in use";
}

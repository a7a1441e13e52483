using System.Runtime.InteropServices;
using Ublk.Hosting;
using Ublk.Io;
using Ublk.Targets;

// The smallest disk: writes vanish, and it is full of zeroes. Ctrl+C removes it.

using CancellationTokenSource stop = new();
using PosixSignalRegistration interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop);
using PosixSignalRegistration terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);

using NullDisk disk = new();
await using BlockDevice device = await BlockDevice.OpenAsync(disk, cancellation: stop.Token);
Console.WriteLine(device.DevicePath);
await device.RunAsync(stop.Token);

void Stop(PosixSignalContext context)
{
    context.Cancel = true;
    stop.Cancel();
}

internal sealed class NullDisk : BlockTarget
{
    public override TargetGeometry Geometry { get; } = new() { Size = 1L << 30 };

    public override IoTask<int> HandleAsync(IoRequest request)
    {
        if (request.Operation == IoOperation.Read)
        {
            request.Buffer.Span.Clear();
        }

        return 0;
    }
}

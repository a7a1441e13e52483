using System.Runtime.InteropServices;
using Ublk.Hosting;

// A disk whose requests are answered elsewhere: reads and writes by a thread of its own, flushes by a timer.
// What is awaited comes back to the queue's thread by itself, through an eventfd that the queue's ring reads.

using CancellationTokenSource stop = new();
using PosixSignalRegistration interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop);
using PosixSignalRegistration terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);

using EventDisk disk = new(64 << 20);
await using BlockDevice device = await BlockDevice.OpenAsync(disk, cancellation: stop.Token);
Console.WriteLine(device.DevicePath);
await device.RunAsync(stop.Token);

void Stop(PosixSignalContext context)
{
    context.Cancel = true;
    stop.Cancel();
}

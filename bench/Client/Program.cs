using System.Diagnostics;
using System.Globalization;
using Microsoft.Win32.SafeHandles;
using Ublk.Catalog;
using Ublk.Client;
using Ublk.Control;
using Ublk.Counters;
using Ublk.Interop;
using Ublk.Io;
using Ublk.Rings;
using Ublk.Serving;
using Ublk.Targets;

// Serves 4 KiB requests at random places from a target, without a driver, and prints the requests per second.
// Arguments: the target; read or write, which overwrites what is there; the depth; the duration in seconds; the target's options,
// NAME=VALUE.
TargetDefinition definition = TargetCatalog.Find(args[0]);
IoOperation operation = Enum.Parse<IoOperation>(args[1], ignoreCase: true);
int depth = int.Parse(args[2], CultureInfo.InvariantCulture);
TimeSpan duration = TimeSpan.FromSeconds(double.Parse(args[3], CultureInfo.InvariantCulture));
Dictionary<string, string> values = args[4..].Select(option => option.Split('=', 2)).ToDictionary(pair => pair[0], pair => pair[1]);

using BlockTarget target = definition.Open(new TargetOptions(values));
using SafeFileHandle node = new(Libc.MemFdCreate("descriptors", 0), ownsHandle: true);
RandomAccess.SetLength(node, Environment.SystemPageSize);
using CounterMemory counters = new(null, 1, []);
UblkDeviceInfo info = new()
{
    QueueDepth = (ushort)depth,
    MaxIoBufferBytes = BusyRing.RequestSize,
    Flags = (ulong)UblkFeatures.UringCmdCompInTask,
};
QueueShare share = new(0, 0, 1);
BusyRing? ring = null;
QueueThread thread = new(share, CpuSet.OfThread(0), exception => Environment.FailFast(exception.Message));
thread.Start(() =>
{
    RingSetup setup = RingSetup.Create((uint)depth * 2, (uint)depth * 4, RingSetup.QueueFlags);
    ring = new BusyRing(setup, node, operation, target.Geometry.Size, depth);
    return new QueueLoop(ring, node, share, new QueueTeam(), info, target, counters.For(0, depth));
});

// As fio's ramp_time.
Thread.Sleep(250);
long start = Stopwatch.GetTimestamp();
long before = ring!.Answered;
Thread.Sleep(duration);
long answered = ring.Answered - before;
TimeSpan elapsed = Stopwatch.GetElapsedTime(start);
ring.End();
thread.TryInvoke(loop => loop.Dismiss());
thread.Join();
if (ring.Failure != 0)
{
    throw new InvalidOperationException($"A request got {ring.Failure}.");
}

Console.WriteLine((answered / elapsed.TotalSeconds).ToString("F0", CultureInfo.InvariantCulture));

using Microsoft.Win32.SafeHandles;
using Ublk.Control;
using Ublk.Counters;
using Ublk.Files;
using Ublk.Images;
using Ublk.Instructions;
using Ublk.Interop;
using Ublk.Io;
using Ublk.Qcow2.AtRest;
using Ublk.Rings;
using Ublk.Serving;
using Ublk.Targets;
using Ublk.Targets.Loop;
using Ublk.Targets.Null;
using Ublk.Targets.Qcow2;

// Serves the same requests from each target, one QueueLoop.Run for each line that it prints, in order.
// Arguments: a folder for the disks' files, and the number of requests.
const int DiskSize = 16 << 20;
string folder = args[0];
long requests = long.Parse(args[1], System.Globalization.CultureInfo.InvariantCulture);
string raw = Path.Combine(folder, "disk.raw");
string qcow2 = Path.Combine(folder, "disk.qcow2");
File.WriteAllBytes(raw, new byte[DiskSize]);
new CreateImage
{
    Path = qcow2,
    Size = DiskSize,
    Force = true,
    Options = new NewImageOptions { Format = ImageFormat.Qcow2, Preallocation = ImagePreallocation.Full },
}.Run(ImageProgress.None);
string tracked = Path.Combine(folder, "tracked.qcow2");
File.Copy(qcow2, tracked, overwrite: true);
new CreateBitmap { Path = tracked, Name = "changes" }.Run(ImageProgress.None);

foreach (int depth in (int[])[1, 64])
{
    foreach (IoOperation operation in (IoOperation[])[IoOperation.Read, IoOperation.Write])
    {
        Serve("null", new NullTarget(DiskSize), operation, depth);
        Serve("loop", LoopTarget.Open(OptionsFor(raw)), operation, depth);
        Serve("qcow2", Qcow2Target.Open(OptionsFor(qcow2)), operation, depth);
    }

    // The mark that it is in use is written before, as the double has no flush.
    Qcow2Target changing = Qcow2Target.Open(OptionsFor(tracked));
    _ = changing.TakeChanges("changes");
    Serve("qcow2 with a bitmap", changing, IoOperation.Write, depth);
}

static TargetOptions OptionsFor(string path) => new(new Dictionary<string, string> { ["Path"] = path, ["DirectIO"] = "false" });

void Serve(string name, BlockTarget target, IoOperation operation, int depth)
{
    using BlockTarget served = target;
    using SafeFileHandle node = new(Libc.MemFdCreate("descriptors", 0), ownsHandle: true);
    RandomAccess.SetLength(node, Environment.SystemPageSize);
    nint descriptors = Libc.MMap((nuint)Environment.SystemPageSize, Libc.PROT_READ | Libc.PROT_WRITE, Libc.MAP_SHARED, node, 0);
    using CounterMemory counters = new(null, 1, []);
    UblkDeviceInfo info = new()
    {
        QueueDepth = (ushort)depth,
        MaxIoBufferBytes = 64 << 10,
        Flags = (ulong)UblkFeatures.UringCmdCompInTask,
    };
    ReplayedRing ring = new(RingSetup.Create((uint)depth * 2, (uint)depth * 4, RingSetup.QueueFlags), descriptors, target.Files, operation,
        DiskSize, depth, requests);
    using (QueueLoop loop = new(ring, node, new QueueShare(0, 0, 1), new QueueTeam(), info, target, counters.For(0, depth)))
    {
        loop.Run();
    }

    if (ring.Failure != 0)
    {
        throw new InvalidOperationException($"A request of {name} got {ring.Failure}.");
    }

    _ = Libc.MUnmap(descriptors, (nuint)Environment.SystemPageSize);
    Console.WriteLine($"{name} {operation} {depth}");
}

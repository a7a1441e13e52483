using Ublk.Filters;
using Ublk.Interop;
using Ublk.Io;
using Ublk.Targets;
using Ublk.Tests.Qcow2.Crash;
using Ublk.Tests.Serving;
using Ublk.Tests.Targets;

namespace Ublk.Tests.Filters;

/// <summary>
/// A power cut at any instant leaves an overlay's file with all that was flushed, and shows no block as what it never was. UBLK_SEEDS tells
/// how many workloads to try (4 by default).
/// </summary>
public sealed class OverlayCrashTests : IDisposable
{
    private const int Size = 64 << 10;
    private const int Page = 4096;
    private const int Depth = 8;

    private readonly string _path = $"/dev/shm/ublk-test-{Guid.NewGuid():N}.overlay";
    private readonly byte[] _base = new byte[Size];
    private readonly List<(IoTask<int> Answer, IoOperation Operation, int Tag, int First, int Count, bool IsDurable,
        int[] Promised)> _running = [];
    private int _cuts;

    public OverlayCrashTests() => new Random(1).NextBytes(_base);

    public void Dispose() => File.Delete(_path);

    [Fact]
    public void A_power_cut_at_any_instant_loses_nothing_that_was_promised()
    {
        int seeds = int.TryParse(Environment.GetEnvironmentVariable("UBLK_SEEDS"), out int number) ? number : 4;
        for (int seed = 0; seed < seeds; seed++)
        {
            Go(new Random(seed));
        }

        Assert.True(_cuts > 0);
    }

    private void Go(Random random)
    {
        File.Delete(_path);
        using (BlockTarget empty = Open())
        {
        }

        SimulatedDisk disk = new(random);
        SimulatedFile file = disk.Add("overlay", File.ReadAllBytes(_path));
        DiskModel model = new(_base);
        OverlayMap map = new(Size / DiskModel.Sector, new SimulatedTarget(file, Page));
        using OverlayFilter overlay = new(new MemoryTarget(Size), new SimulatedTarget(file, 2 * Page), map);
        QueueHarness.Run(overlay, harness => Work(harness, disk, file, model, random), Depth, Size);
    }

    private void Work(QueueHarness harness, SimulatedDisk disk, SimulatedFile file, DiskModel model, Random random)
    {
        QueueSynchronizationContext context = (QueueSynchronizationContext)SynchronizationContext.Current!;
        disk.Changed = () =>
        {
            if (random.Next(4) == 0)
            {
                _cuts++;
                Judge(file.AfterPowerCut(random), model);
            }
        };
        for (int started = 0; started < 60 || _running.Count > 0;)
        {
            if (started < 60 && _running.Count < Depth && random.Next(3) == 0)
            {
                started++;
                Start(harness, model, random);
            }
            else if (disk.HasPending)
            {
                disk.Step();
            }

            context.RunPosted();
            Reap(model);
        }
    }

    private void Start(QueueHarness harness, DiskModel model, Random random)
    {
        int first = random.Next(model.Count - 12);
        int count = random.Next(1, 12);
        bool isFlush = random.Next(5) == 0;
        if (!isFlush && _running.Exists(other => other.First < first + count && first < other.First + other.Count))
        {
            return;
        }

        int tag = Enumerable.Range(0, Depth).First(tag => !_running.Exists(other => other.Tag == tag));
        if (isFlush)
        {
            int[] promised = model.BeginFlush();
            _running.Add((harness.Start(tag, QueueHarness.Describe(IoOperation.Flush)), IoOperation.Flush, tag, 0, 0, false, promised));
            return;
        }

        bool isDurable = random.Next(6) == 0;
        model.BeginWrite(first, count, harness.BufferOf(tag).Span[..(count * DiskModel.Sector)]);
        IoTask<int> answer = harness.Start(tag, QueueHarness.Describe(
            IoOperation.Write, (long)first * DiskModel.Sector, count * DiskModel.Sector, isDurable ? UblkAbi.IoFlagFua : 0));
        _running.Add((answer, IoOperation.Write, tag, first, count, isDurable, []));
    }

    private void Reap(DiskModel model)
    {
        for (int place = _running.Count - 1; place >= 0; place--)
        {
            var done = _running[place];
            if (done.Answer.IsCompleted)
            {
                _running.RemoveAt(place);
                Assert.True(done.Answer.GetAwaiter().GetResult() >= 0);
                if (done.Operation == IoOperation.Flush)
                {
                    model.EndFlush(done.Promised);
                }
                else
                {
                    model.Answer(done.First, done.Count, done.IsDurable);
                }
            }
        }
    }

    private void Judge(byte[] left, DiskModel model)
    {
        File.WriteAllBytes(_path, left);
        using BlockTarget disk = Open();
        byte[] content = new byte[Size];
        QueueHarness.Run(disk, harness => harness.Answer(QueueHarness.Describe(IoOperation.Read, 0, Size), content), bufferSize: Size);
        Assert.Null(model.FindWrong(content, 0, afterPowerCut: true));
    }

    private BlockTarget Open()
    {
        MemoryTarget memory = new(Size);
        _base.CopyTo(memory.Data, 0);
        return OverlayFileTests.OpenSoon(() => FilterTests.Open(memory, $"Overlay={_path}"));
    }

    /// <summary>A part of a simulated file, as a disk.</summary>
    private sealed class SimulatedTarget(SimulatedFile file, long start) : BlockTarget
    {
        public override TargetGeometry Geometry => new() { Size = Size };

        public override IoTask<int> HandleAsync(IoRequest request)
        {
            IoBuffer buffer = request.Buffer;
            long offset = start + request.Offset;
            bool isDurable = request.IsForceUnitAccess;
            long mark = file.BeginSync();
            return request.Operation switch
            {
                IoOperation.Read => file.Disk.Perform(() => file.Read(buffer.Span, offset)),
                IoOperation.Write => file.Disk.Perform(() => file.Write(buffer.Span, offset, isDurable)),
                _ => file.Disk.Perform(() => file.EndSync(mark)),
            };
        }
    }
}

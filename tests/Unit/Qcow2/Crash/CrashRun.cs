using Ublk.Interop;
using Ublk.Io;
using Ublk.Qcow2.Data;
using Ublk.Qcow2.Opening;
using Ublk.Qcow2.State;
using Ublk.Targets.Qcow2;
using Ublk.Tests.Serving;

namespace Ublk.Tests.Qcow2.Crash;

/// <summary>
/// A random workload on an image of a random kind, all of it told by a seed. After each change of the simulated disk the power is
/// cut, or the worker dies, on a copy, and the copy is judged; then the workload goes on.
/// </summary>
internal sealed class CrashRun : IDisposable
{
    private const int Depth = 8;
    private const int BufferSize = 64 << 10;
    private const int LargeDisk = 2048;
    private const uint NoUnmap = 1u << 15;
    private const uint ForceUnitAccess = 1u << 13;
    private static readonly bool s_qemuJudgesEach = Environment.GetEnvironmentVariable("UBLK_QEMU") == "1";

    private readonly int _seed;
    private readonly bool _hasFaults;
    private readonly MergeDirection? _merge;
    private readonly Random _random;
    private readonly ImageKind _kind;
    private readonly DiscardMode _discard;
    private readonly ImageOptions _options;
    private readonly DiskModel _model;
    private readonly string _folder = Directory.CreateDirectory($"/dev/shm/ublk-crash-{Guid.NewGuid():N}").FullName;
    private readonly List<Running> _running = [];
    private readonly HashSet<int> _touched = [];
    private SimulatedDisk _disk;
    private bool _mayLeak;
    private int _qemuCountdown;
    private int _faults;
    private bool _isLost;

    /// <summary>Prepares the run of a seed.</summary>
    /// <param name="seed">What decides everything.</param>
    /// <param name="kind">The number of the image's kind; null to let the seed decide that too.</param>
    /// <param name="hasFaults">Whether the host's files have no room at times, and fail.</param>
    /// <param name="isCached">Whether the host's files are written through the page cache; null to let the seed decide that too.</param>
    /// <param name="merge">Whether the image and its backing file, which it must have, are merged meanwhile.</param>
    public CrashRun(int seed, int? kind, bool hasFaults, bool? isCached = null, MergeDirection? merge = null)
    {
        _merge = merge;
        _seed = seed;
        _hasFaults = hasFaults;
        _random = new Random(seed);
        _kind = ImageKind.Get(kind ?? (int)((uint)seed % (uint)ImageKind.Count));
        _discard = _random.Next(2) == 0 ? DiscardMode.Unmap : DiscardMode.Zero;
        _options = new ImageOptions { CacheSize = _random.Next(2) == 0 ? 4096 : 1 << 20 };
        _model = new DiskModel(_kind.Content);
        _disk = new SimulatedDisk(_random) { IsCached = isCached ?? new Random(~seed).Next(2) == 0 };
        foreach ((string name, byte[] content) in _kind.Files)
        {
            // A backing file that is smaller grows before a merge.
            bool grows = merge is not null && name == SimulatedMerge.Base && content.Length < _kind.Content.Length;
            _disk.Add(name, grows && !SimulatedMerge.IsImage(content)
                ? [.. content, .. new byte[_kind.Content.Length - content.Length]] : content);
        }

        _qemuCountdown = _random.Next(1, 150);
    }

    /// <summary>Times the power was cut.</summary>
    public int Cuts { get; private set; }

    /// <summary>Times the worker died.</summary>
    public int Kills { get; private set; }

    /// <summary>Times that a bitmap was compared with what has changed.</summary>
    public int Bitmaps { get; private set; }

    /// <summary>Merges that were completed.</summary>
    public int Merges { get; private set; }

    /// <summary>Requests that failed.</summary>
    public int Failures { get; private set; }

    /// <summary>Lives a few lives, each of which ends in another way.</summary>
    public void Go()
    {
        for (int life = 0; life < 3; life++)
        {
            try
            {
                Live();
            }
            catch (Exception exception)
            {
                throw new InvalidOperationException(
                    $"Seed {_seed} ({_kind.Name}, discard {_discard}, life {life}) failed: {exception.Message} Replay it with "
                        + $"UBLK_SEED={_seed}.", exception);
            }
        }
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private string JournalPath => Path.Combine(_folder, "journal");

    private void Live()
    {
        using SimulatedMerge? merge = _merge is { } direction ? new SimulatedMerge(_disk, direction, _kind.Content.Length) : null;
        Qcow2Layer layer = SimulatedImage.Open(_disk, _options with { Backing = merge?.Backing }, out ImageUpdater? updater);
        Qcow2Target target = new(layer, updater, _discard, []);
        bool isTracked = _kind.HasBitmap && ChangedOf(_disk) is not null;
        merge?.Begin(target);
        WriteJournal journal = WriteJournal.Open(JournalPath, (1, 1), layer.State.Layout.ClusterSize, mustExist: false);
        updater!.Keep(journal);
        int ending = _random.Next(3);
        QueueHarness.Run(
            merge?.Target ?? target, harness => Work(harness, merge, endsInTime: ending == 0), Depth, BufferSize);
        _running.Clear();
        _disk.Fault = null;
        _mayLeak |= _faults > 0;
        if (ending == 0 && !_isLost)
        {
            target.Dispose();
            merge?.Dispose();
            _disk.Changed = null;
            Judge(_disk, afterPowerCut: false, leaksMatter: !_mayLeak);
            Assert.True(!isTracked || _faults > 0 || ChangedOf(_disk) is not null, "The bitmap was not saved.");
            SimulatedImage.CheckWithQemu(_disk, _folder);
            if (merge is { HasFailed: false } && _model.FindWrong(merge.ReadResult(_disk), 0, afterPowerCut: false) is { } wrong)
            {
                Assert.Fail($"After the merge {wrong}.");
            }

            Merges += merge is { HasFailed: false } ? 1 : 0;
            return;
        }

        _disk.Changed = null;
        _disk.Fault = _ => throw new IOException("The worker was killed.");
        _ = Record.Exception(target.Dispose);
        _ = Record.Exception(() => merge?.Dispose());
        _disk.Fault = null;
        _mayLeak = true;
        _isLost = false;
        if (ending == 1)
        {
            _disk = _disk.Kill(_random);
            return;
        }

        File.Delete(JournalPath);
        _disk = _disk.CutPower(_random);
        _model.Settle(SimulatedImage.Read(_disk));
    }

    // Ends with requests in flight, unless the disk is closed next.
    private void Work(QueueHarness harness, SimulatedMerge? merge, bool endsInTime)
    {
        QueueSynchronizationContext context = (QueueSynchronizationContext)SynchronizationContext.Current!;
        _disk.Changed = Probe;
        int started = 0;
        int requests = _random.Next(5, 50);
        Faults? faults = _hasFaults ? new Faults(_random) : null;
        while (started < requests || (endsInTime && (_running.Count > 0 || merge is { IsDone: false })))
        {
            if (merge?.Step(_random.Next(4) == 0, isLast: started >= requests && _running.Count == 0) is < 0 and var failure)
            {
                Assert.True(failure is -Libc.ENOSPC or -Libc.EIO && _faults > 0, $"The merge failed with {failure}.");
            }

            if (started < requests && _running.Count < Depth && _random.Next(3) == 0)
            {
                started++;
                _disk.Fault = faults is null || started > requests - 10 ? null : isSync => Fail(faults, isSync);
                TryStart(harness);
            }
            else if (_disk.HasPending)
            {
                _disk.Step();
            }
            else if (started >= requests && _running.Count > 0 && !_running.Exists(running => running.Answer.IsCompleted))
            {
                context.RunPosted();
                Assert.True(_disk.HasPending || merge is { IsDone: false }
                    || _running.Exists(running => running.Answer.IsCompleted), "The requests wait for each other.");
            }

            context.RunPosted();
            Reap();
        }
    }

    private void TryStart(QueueHarness harness)
    {
        int first = _random.Next(_model.Count);
        int count = int.Min(_random.Next(4) == 0 ? _random.Next(1, 100) : _random.Next(1, 12), _model.Count - first);
        if (_running.Exists(running => running.First < first + count && first < running.First + running.Count))
        {
            return;
        }

        int tag = Enumerable.Range(0, Depth).First(tag => !_running.Exists(running => running.Tag == tag));
        Span<byte> data = harness.BufferOf(tag).Span[..(count * DiskModel.Sector)];
        bool durable = _random.Next(5) == 0;
        uint flags = durable ? ForceUnitAccess : 0;
        IoOperation operation = _random.Next(12) switch
        {
            0 => IoOperation.Read,
            1 or 2 => IoOperation.Flush,
            3 => IoOperation.Discard,
            4 or 5 => IoOperation.WriteZeroes,
            _ => IoOperation.Write,
        };
        Running started = new() { Operation = operation, Tag = tag, First = first, Count = count, IsDurable = durable, Faults = _faults };
        switch (operation)
        {
            case IoOperation.Write:
                _model.BeginWrite(first, count, data);
                break;
            case IoOperation.Discard:
                _model.BeginZero(first, count);
                flags = 0;
                break;
            case IoOperation.WriteZeroes:
                _model.BeginZero(first, count);
                flags |= _random.Next(2) == 0 ? NoUnmap : 0;
                break;
            case IoOperation.Flush:
                started.Promised = _model.BeginFlush();
                started.Count = 0;
                flags = 0;
                break;
            default:
                data.Fill(0xEE);
                flags = 0;
                break;
        }

        if (operation is IoOperation.Write or IoOperation.WriteZeroes or IoOperation.Discard)
        {
            _touched.UnionWith(Enumerable.Range(first, count));
        }

        _running.Add(started);
        started.Answer =
            harness.Start(tag, QueueHarness.Describe(operation, (long)first * DiskModel.Sector, started.Count * DiskModel.Sector, flags));
        started.Buffer = harness.BufferOf(tag);
    }

    private void Reap()
    {
        for (int place = _running.Count - 1; place >= 0; place--)
        {
            Running done = _running[place];
            if (!done.Answer.IsCompleted)
            {
                continue;
            }

            int result = done.Answer.GetAwaiter().GetResult();
            _running.RemoveAt(place);
            if (result < 0)
            {
                bool isExpected = result is -Libc.ENOSPC or -Libc.EIO && (_isLost || _faults > done.Faults);
                Assert.True(isExpected, $"{done.Operation} of {done.Count} sectors from {done.First} on failed with {result}.");
                Failures++;
                continue;
            }

            switch (done.Operation)
            {
                case IoOperation.Write:
                case IoOperation.WriteZeroes:
                case IoOperation.Discard when _discard == DiscardMode.Zero:
                    _model.Answer(done.First, done.Count, done.IsDurable && done.Operation != IoOperation.Discard);
                    break;
                case IoOperation.Flush:
                    _model.EndFlush(done.Promised!);
                    break;
                case IoOperation.Read:
                    Span<byte> data = done.Buffer.Span[..(done.Count * DiskModel.Sector)];
                    Assert.Null(_model.FindWrong(data, done.First, afterPowerCut: false));
                    break;
            }
        }
    }

    // Once a flush has failed, no write may succeed any more.
    private int Fail(Faults faults, bool isSync)
    {
        int errno = faults.Next(isSync);
        _faults += errno < 0 ? 1 : 0;
        _isLost |= isSync && errno < 0;
        return errno;
    }

    private void Probe()
    {
        // To judge a large image takes its time; another seed cuts elsewhere.
        Random choice = new(_random.Next());
        if (_model.Count > LargeDisk && choice.Next(8) != 0)
        {
            return;
        }

        Cuts++;
        SimulatedDisk left = _disk.CutPower(choice);
        left.CompletesAtOnce = true;
        Judge(left, afterPowerCut: true, leaksMatter: false);
        if (--_qemuCountdown == 0 || s_qemuJudgesEach)
        {
            SimulatedImage.CheckWithQemu(left, _folder);
        }

        if (choice.Next(4) == 0)
        {
            Kill(choice);
        }
    }

    private void Kill(Random choice)
    {
        Kills++;
        SimulatedDisk left = _disk.Kill(choice);
        left.CompletesAtOnce = true;
        string path = Path.Combine(_folder, "journal of the dead");
        File.Copy(JournalPath, path, overwrite: true);
        using (Qcow2Layer layer = SimulatedImage.Open(left, _options, out ImageUpdater? updater))
        {
            updater!.Keep(WriteJournal.Open(path, (1, 1), layer.State.Layout.ClusterSize, mustExist: true));
            Assert.Equal(0, updater.Finish());
            updater.Dispose();
        }

        Judge(left, afterPowerCut: false, leaksMatter: false);
    }

    private void Judge(SimulatedDisk disk, bool afterPowerCut, bool leaksMatter)
    {
        if (SimulatedImage.FindErrors(disk, leaksMatter) is { } errors)
        {
            Assert.Fail($"{(afterPowerCut ? "After a power cut" : "After the worker's end")} the image has errors:\n{errors}\n");
        }

        if (_merge == MergeDirection.Down && SimulatedMerge.IsImage(disk.Files[SimulatedMerge.Base].Content)
            && SimulatedImage.FindErrors(disk, leaksMatter: false, SimulatedMerge.Base) is { } below)
        {
            Assert.Fail($"The backing file has errors:\n{below}\n");
        }

        byte[] content = SimulatedImage.Read(disk);
        if (_kind.HasBitmap)
        {
            JudgeBitmap(disk, content);
        }

        if (_model.FindWrong(content, 0, afterPowerCut) is { } wrong)
        {
            Assert.Fail($"{(afterPowerCut ? "After a power cut" : "After the worker's end")} {wrong}.");
        }

        foreach ((string name, byte[] kept) in _kind.Snapshots)
        {
            Assert.True(SimulatedImage.Read(disk, name).AsSpan().SequenceEqual(kept), $"Snapshot {name} has changed.");
        }
    }

    // It is marked as in use, or has every sector that is not as it was when it began, and none that nobody has touched.
    private void JudgeBitmap(SimulatedDisk disk, byte[] content)
    {
        if (ChangedOf(disk) is not { } changed)
        {
            return;
        }

        Bitmaps++;
        for (int sector = 0; sector < _model.Count; sector++)
        {
            Range bytes = (sector * DiskModel.Sector)..((sector + 1) * DiskModel.Sector);
            Assert.True(changed[sector] || content[bytes].AsSpan().SequenceEqual(_kind.Content.AsSpan(bytes)),
                $"Sector {sector} has changed, and the bitmap says that it has not.");
            Assert.True(!changed[sector] || Enumerable.Range(sector / Granule * Granule, Granule).Any(_touched.Contains),
                $"Sector {sector} was not touched, and the bitmap says that it has changed.");
        }
    }

    private int Granule => _kind.Name == "bitmap of sectors" ? 1 : 128;

    private static bool[]? ChangedOf(SimulatedDisk disk)
    {
        using SimulatedDiskFile file = new(disk.Files[SimulatedImage.Name], SimulatedImage.Name);
        return StoredBitmap.Read(file, "b0", DiskModel.Sector);
    }

    private sealed class Running
    {
        public required IoOperation Operation { get; init; }
        public required int Tag { get; init; }
        public required int First { get; init; }
        public required int Count { get; set; }
        public required bool IsDurable { get; init; }
        public required int Faults { get; init; }
        public int[]? Promised { get; set; }
        public IoBuffer Buffer { get; set; }
        public IoTask<int> Answer { get; set; }
    }
}

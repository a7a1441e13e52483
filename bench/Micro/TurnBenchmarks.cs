using BenchmarkDotNet.Attributes;
using Ublk.Targets;
using Ublk.Targets.Loop;
using Ublk.Targets.Null;

namespace Ublk.Micro;

/// <summary>A queue's turn of 4 KiB reads, from descriptors to what the driver would be told: null dispatches and nothing more.</summary>
public class TurnBenchmarks
{
    private const int FileSize = 1 << 20;

    private TargetQueue _queue = null!;
    private string? _file;

    /// <summary>Requests of a turn.</summary>
    [Params(1, 64)]
    public int Requests { get; set; }

    /// <summary>Makes a queue of null.</summary>
    [GlobalSetup(Target = nameof(Null))]
    public void SetupNull() => _queue = new TargetQueue(new NullTarget(FileSize), Requests);

    /// <summary>Makes a queue of null that counts.</summary>
    [GlobalSetup(Target = nameof(NullCounted))]
    public void SetupCounted() => _queue = new TargetQueue(new NullTarget(FileSize), Requests, counts: true);

    /// <summary>Makes a queue of a file in memory.</summary>
    [GlobalSetup(Target = nameof(LoopInMemory))]
    public void SetupMemory() => Open("/dev/shm");

    /// <summary>Makes a queue of a file in the page cache.</summary>
    [GlobalSetup(Target = nameof(LoopOnDisk))]
    public void SetupDisk() => Open(AppContext.BaseDirectory);

    /// <summary>Removes what was made.</summary>
    [GlobalCleanup]
    public void Cleanup()
    {
        _queue.Dispose();
        if (_file is not null)
        {
            File.Delete(_file);
        }
    }

    /// <summary>Answers at once.</summary>
    [Benchmark]
    public int Null() => _queue.Turn();

    /// <summary>Answers at once, and counts for Measure-UblkDevice.</summary>
    [Benchmark]
    public int NullCounted() => _queue.Turn();

    /// <summary>Reads the file directly.</summary>
    [Benchmark]
    public int LoopInMemory() => _queue.Turn();

    /// <summary>Reads the file through the ring.</summary>
    [Benchmark]
    public int LoopOnDisk() => _queue.Turn();

    private void Open(string folder)
    {
        _file = Path.Combine(folder, $"ublk-micro-{Environment.ProcessId}.img");
        File.WriteAllBytes(_file, new byte[FileSize]);
        TargetOptions options = new(new Dictionary<string, string> { ["Path"] = _file, ["DirectIO"] = "false" });
        _queue = new TargetQueue(LoopTarget.Open(options), Requests);
    }
}

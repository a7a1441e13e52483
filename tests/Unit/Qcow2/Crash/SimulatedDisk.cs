using Ublk.Io;

namespace Ublk.Tests.Qcow2.Crash;

/// <summary>
/// A disk with files on it that loses and reorders what was not flushed, and completes what runs on a queue in any order.
/// </summary>
/// <param name="random">Chooses.</param>
internal sealed class SimulatedDisk(Random random)
{
    private readonly List<(Func<int> Run, PendingResult Answer)> _pending = [];

    /// <summary>Its files by name.</summary>
    public Dictionary<string, SimulatedFile> Files { get; } = [];

    /// <summary>Called after each change of a file and each flush: where the power may be cut.</summary>
    public Action? Changed { get; set; }

    /// <summary>Asked before each change of a file, and before each flush with true: 0, or the negative errno that it fails with.</summary>
    public Func<bool, int>? Fault { get; set; }

    /// <summary>Whether its files are written through the page cache, which loses the data of all when it cannot write it back.</summary>
    public bool IsCached { get; set; }

    /// <summary>Whether every operation completes at once, as without a queue: a copy is judged while the disk's queue runs.</summary>
    public bool CompletesAtOnce { get; set; }

    /// <summary>Whether operations wait to be completed.</summary>
    public bool HasPending => _pending.Count > 0;

    /// <summary>Puts a file on the disk, durably.</summary>
    public SimulatedFile Add(string name, ReadOnlySpan<byte> content) => Files[name] = new SimulatedFile(this, name, content.ToArray());

    /// <summary>Opens a file, as an image's opener wants it.</summary>
    public SimulatedHandle Open(string path, bool readOnly, int maxAlignment) =>
        Files.TryGetValue(Path.GetFileName(path), out SimulatedFile? file)
        ? new SimulatedHandle(file, path, readOnly)
        : throw new UblkException(UblkError.PathNotFound, $"There is no file {path}.");

    /// <summary>Does something now or at a later <see cref="Step"/>.</summary>
    public IoTask<int> Perform(Func<int> action)
    {
        if (CompletesAtOnce || IoQueue.Current is null || random.Next(4) == 0)
        {
            return action();
        }

        PendingResult answer = new();
        _pending.Add((action, answer));
        return answer.Task;
    }

    /// <summary>Completes any one of the pending operations.</summary>
    public void Step()
    {
        int place = random.Next(_pending.Count);
        (Func<int> run, PendingResult answer) = _pending[place];
        _pending.RemoveAt(place);
        answer.Complete(run());
    }

    /// <summary>The disk as a power cut now may leave it.</summary>
    public SimulatedDisk CutPower(Random choice) => Copy(choice, file => file.AfterPowerCut(choice));

    /// <summary>The disk as the death of whoever writes it now leaves it: the kernel has all that was written.</summary>
    public SimulatedDisk Kill(Random choice) => Copy(choice, file => file.Content.ToArray());

    private SimulatedDisk Copy(Random choice, Func<SimulatedFile, byte[]> content)
    {
        SimulatedDisk copy = new(choice) { IsCached = IsCached };
        foreach ((string name, SimulatedFile file) in Files)
        {
            copy.Files[name] = new SimulatedFile(copy, name, content(file));
        }

        return copy;
    }

    private sealed class PendingResult : ReusableTask<int>
    {
        protected override void Recycle()
        {
        }
    }
}

using System.Diagnostics;
using System.Text.Json;
using Ublk.Interop;
using Ublk.Io;
using Ublk.Specification;
using Ublk.Targets;
using Ublk.Targets.Rbd;
using Ublk.Tests.Serving;

namespace Ublk.Tests.Targets.Rbd;

/// <summary>Disks that outlive their worker: whose lock the next worker breaks.</summary>
public sealed class RbdRecoveryTests : IClassFixture<CephCluster>, IDisposable
{
    private const int Block = 4096;

    private readonly CephCluster _cluster;
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("ublk-rbd-");

    public RbdRecoveryTests(CephCluster cluster) => _cluster = cluster;

    private string StatePath => $"{_folder.FullName}/state";

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public void The_next_worker_excludes_the_last_one_and_keeps_its_writes()
    {
        string name = Create("succeeded");
        byte[] former = [.. Enumerable.Repeat((byte)1, Block)];
        byte[] latter = [.. Enumerable.Repeat((byte)2, Block)];

        // It hangs rather than is dead, which is worse: it could go on.
        using RbdTarget last = Open(name);
        TargetClient lastClient = new(last);
        lastClient.Write(0, former);
        using RbdTarget next = Open(name, isRecovery: true);
        TargetClient client = new(next);
        Assert.Equal(Libc.ESHUTDOWN, Assert.Throws<UblkException>(() => lastClient.Write(0, latter)).Errno);
        Assert.Equal(former, client.Read(0, Block));
        client.Write(Block, latter);

        // And again: the state is the next one's by now.
        using RbdTarget third = Open(name, isRecovery: true);
        Assert.Equal([.. former, .. latter], new TargetClient(third).Read(0, 2 * Block));
        Assert.Equal(Libc.ESHUTDOWN, Assert.Throws<UblkException>(() => client.Write(0, latter)).Errno);
    }

    [Fact]
    public void A_killed_client_is_succeeded()
    {
        string name = Create("killed");
        Open(name).Dispose();
        using Process killed = Process.Start("rbd",
            ["--conf", _cluster.ConfigPath, "bench", "--io-type", "write", "--io-total", "100G", name]);
        string[] owner;
        do
        {
            owner = _cluster.Rbd("lock", "ls", name).Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
        }
        while (owner.Length == 0);
        killed.Kill();
        killed.WaitForExit();
        (RbdState.TryRead(StatePath)! with { Owner = owner[^1] }).Write(StatePath);
        using RbdTarget next = Open(name, isRecovery: true);
        new TargetClient(next).Write(0, new byte[Block]);
    }

    [Fact]
    public void The_lock_of_another_client_is_never_broken()
    {
        string name = Create("others");
        Open(name).Dispose();
        using RbdTarget other = RbdTarget.Open(new TargetOptions(OptionsOf(name)));
        UblkException failure = Assert.Throws<UblkException>(() => Open(name, isRecovery: true));
        Assert.Equal(UblkError.BackingFileInUse, failure.Error);
        Assert.Contains(_cluster.Rbd("lock", "ls", name).Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries)[^1], failure.Message,
            StringComparison.Ordinal);
        new TargetClient(other).Write(0, new byte[Block]);
    }

    [Fact]
    public void An_image_that_another_client_had_locked_meanwhile_is_refused()
    {
        string name = Create("changed");
        using RbdTarget last = Open(name);
        using JsonDocument locks = JsonDocument.Parse(_cluster.Rbd("lock", "ls", "--format", "json", name));
        JsonElement taken = Assert.Single(locks.RootElement.EnumerateArray());
        _cluster.Rbd("lock", "rm", name, taken.GetProperty("id").GetString()!, taken.GetProperty("locker").GetString()!);
        using (RbdTarget other = RbdTarget.Open(new TargetOptions(OptionsOf(name))))
        {
            UblkException failure = Assert.Throws<UblkException>(() => Open(name, isRecovery: true));
            Assert.Equal(UblkError.InvalidBackingFile, failure.Error);
            Assert.Contains(other.Properties["LockOwner"], failure.Message, StringComparison.Ordinal);
            new TargetClient(other).Write(0, new byte[Block]);
        }

        Assert.Equal(UblkError.InvalidBackingFile, Assert.Throws<UblkException>(() => Open(name, isRecovery: true)).Error);
    }

    [Fact]
    public void A_recovery_that_came_to_nothing_leaves_the_image_to_the_next()
    {
        string name = Create("again");
        using RbdTarget last = Open(name);
        Open(name, isRecovery: true).Dispose();
        using RbdTarget next = Open(name, isRecovery: true);
        new TargetClient(next).Write(0, new byte[Block]);
    }

    [Fact]
    public void An_image_that_was_enlarged_without_a_worker_is_served()
    {
        string name = Create("enlarged");
        Open(name).Dispose();
        _cluster.Rbd("resize", "--no-progress", name, "--size", "8M");
        using RbdTarget next = Open(name, isRecovery: true);
        Assert.Equal(8 << 20, next.Geometry.Size);
        new TargetClient(next).Write((8 << 20) - Block, new byte[Block]);
    }

    [Fact]
    public void Another_image_of_the_same_name_is_refused()
    {
        string name = Create("replaced");
        Open(name).Dispose();
        _cluster.Rbd("rm", "--no-progress", name);
        Create("replaced");
        UblkException failure = Assert.Throws<UblkException>(() => Open(name, isRecovery: true));
        Assert.Equal(UblkError.InvalidBackingFile, failure.Error);
        Assert.Contains("not the image", failure.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData("UBLKRBDSTATE\n")]
    public void A_state_that_is_lost_is_refused(string? content)
    {
        string name = Create($"stateless-{content?.Length}");
        if (content is not null)
        {
            File.WriteAllText(StatePath, content);
        }

        UblkException failure = Assert.Throws<UblkException>(() => Open(name, isRecovery: true));
        Assert.Equal(UblkError.InvalidBackingFile, failure.Error);
        Assert.Contains(StatePath, failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_write_is_answered_when_the_cluster_has_it_and_not_when_the_cache_has_it()
    {
        using RbdTarget recoverable = Open(Create("durable"));
        using RbdTarget cached = RbdTarget.Open(new TargetOptions(OptionsOf(Create("cached"))));

        // Until then the cache is not used.
        foreach (RbdTarget target in (RbdTarget[])[recoverable, cached])
        {
            new TargetClient(target).Write(0, new byte[Block]);
            new TargetClient(target).Flush();
        }

        QueueHarness.Run(recoverable, harness =>
        {
            IoTask<int> answer = default;
            _cluster.WithoutOsd(() =>
            {
                answer = harness.Start(0, QueueHarness.Describe(IoOperation.Write, 0, Block));
                new TargetClient(cached).Write(0, new byte[Block]);
                Assert.False(answer.IsCompleted);
            });
            Assert.Equal(Block, harness.AnswerOf(answer));
        });
    }

    [Fact]
    public void A_cache_that_the_image_demands_is_refused()
    {
        string name = Create("demanding");
        _cluster.Rbd("config", "image", "set", name, "rbd_cache", "true");
        UblkException failure = Assert.Throws<UblkException>(() => Open(name));
        Assert.Equal(UblkError.NotSupported, failure.Error);
        Assert.Contains($"rbd config image set {name} rbd_cache false", failure.Message, StringComparison.Ordinal);
    }

    private string Create(string name)
    {
        _cluster.Rbd("create", $"rbd/{name}", "--size", "4M");
        return $"rbd/{name}";
    }

    private RbdTarget Open(string spec, bool isRecovery = false) => RbdTarget.Open(new TargetOptions(OptionsOf(spec))
    {
        Recovery = RecoveryMode.Reissue, StatePath = StatePath, MustHaveState = isRecovery,
    });

    private Dictionary<string, string> OptionsOf(string spec) => new() { ["Spec"] = spec, ["ConfigPath"] = _cluster.ConfigPath };
}

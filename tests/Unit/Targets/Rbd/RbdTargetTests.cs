using System.Collections.Concurrent;
using System.Text.Json;
using Ublk.Counters;
using Ublk.Interop;
using Ublk.Io;
using Ublk.Targets;
using Ublk.Targets.Rbd;
using Ublk.Tests.Serving;

namespace Ublk.Tests.Targets.Rbd;

/// <summary>Images of a real cluster, judged by the rbd command.</summary>
public class RbdTargetTests(CephCluster cluster) : IClassFixture<CephCluster>
{
    private const int Block = 4096;
    private const uint NoUnmap = 1u << 15;

    [Fact]
    public void What_is_written_is_in_the_image()
    {
        byte[] content = new byte[16 << 20];
        string name = Create("written", "16M");
        using (RbdTarget target = Open(name))
        {
            Assert.Equal(content.Length, target.Geometry.Size);
            TargetClient client = new(target);
            Random random = new(1);
            for (int number = 0; number < 60; number++)
            {
                int offset = random.Next(content.Length / 512) * 512;
                byte[] data = new byte[int.Min(random.Next(1, 2048) * 512, content.Length - offset)];
                random.NextBytes(data);
                client.Write(offset, data);
                data.CopyTo(content.AsSpan(offset));
            }

            Assert.Equal(content[..(1 << 20)], client.Read(0, 1 << 20));
            client.Flush();
            Assert.Equal(content, cluster.Export(name));

            client.Discard(4 << 20, 4 << 20);
            client.WriteZeroes(Block, 3 * Block);
            content.AsSpan(4 << 20, 4 << 20).Clear();
            content.AsSpan(Block, 3 * Block).Clear();
            client.Flush();
            Assert.Equal(content, client.Read(0, content.Length));
        }

        Assert.Equal(content, cluster.Export(name));
    }

    [Fact]
    public void Many_requests_in_flight_are_answered_each()
    {
        string name = Create("flight", "8M");
        using RbdTarget target = Open(name);
        QueueHarness.Run(target, harness =>
        {
            harness.Saturate(2000, number => QueueHarness.Describe(IoOperation.Write, number % 1000 * Block, Block));
            harness.Saturate(2000, number => QueueHarness.Describe(
                number % 7 == 0 ? IoOperation.Flush : IoOperation.Read, number % 1000 * Block, number % 7 == 0 ? 0 : Block));
        });
    }

    [Fact]
    public void A_discard_of_the_whole_disk_is_split()
    {
        string name = Create("large", "5G");
        using RbdTarget target = Open(name);
        TargetClient client = new(target);
        byte[] data = [.. Enumerable.Repeat((byte)7, Block)];
        client.Write((5L << 30) - Block, data);
        client.Discard(0, 5L << 30);
        Assert.Equal(new byte[Block], client.Read((5L << 30) - Block, Block));
    }

    [Fact]
    public void Zeroes_that_must_stay_allocated_have_objects()
    {
        string name = Create("thick", "8M");
        using (RbdTarget target = Open(name))
        {
            QueueHarness.Run(target, harness =>
            {
                Assert.Equal(0, harness.Answer(QueueHarness.Describe(IoOperation.WriteZeroes, 0, 4 << 20, NoUnmap)));
                Assert.Equal(0, harness.Answer(QueueHarness.Describe(IoOperation.WriteZeroes, 4 << 20, 4 << 20)));
            });
        }

        Assert.Equal(["Offset", "Length", "Type", "0", "4194304", "data"], cluster.Rbd("diff", name).Split((char[]?)null,
            StringSplitOptions.RemoveEmptyEntries));
    }

    [Fact]
    public void The_data_path_allocates_nothing()
    {
        using RbdTarget target = Open(Create("quiet", "8M"));
        Assert.Equal(0, AllocationTests.Measure(target));
    }

    [Fact]
    public void A_snapshot_is_read_only_and_keeps_its_data()
    {
        string name = Create("original", "4M");
        byte[] former = [.. Enumerable.Repeat((byte)1, Block)];
        byte[] latter = [.. Enumerable.Repeat((byte)2, Block)];
        using RbdTarget target = Open(name);
        TargetClient client = new(target);
        client.Write(0, former);
        client.Flush();
        cluster.Rbd("snap", "create", "--no-progress", $"{name}@s");
        client.Write(0, latter);
        client.Flush();
        using RbdTarget snapshot = Open($"{name}@s");
        TargetClient reader = new(snapshot);
        Assert.True(snapshot.Geometry.ReadOnly);
        Assert.Equal(former, reader.Read(0, Block));
        Assert.Equal(latter, client.Read(0, Block));
        Assert.Equal(Libc.EROFS, Assert.Throws<UblkException>(() => reader.Write(0, latter)).Errno);
    }

    [Fact]
    public void A_clone_reads_its_parent_and_keeps_its_own_writes()
    {
        string name = Create("parent", "4M");
        byte[] data = [.. Enumerable.Repeat((byte)3, Block)];
        using (RbdTarget parent = Open(name))
        {
            new TargetClient(parent).Write(Block, data);
        }

        cluster.Rbd("snap", "create", "--no-progress", $"{name}@s");
        cluster.Rbd("snap", "protect", $"{name}@s");
        cluster.Rbd("clone", $"{name}@s", "rbd/clone");
        using (RbdTarget clone = Open("rbd/clone"))
        {
            TargetClient client = new(clone);
            Assert.Equal(data, client.Read(Block, Block));
            client.Write(0, data);
        }

        Assert.Equal([.. data, .. data], cluster.Export("rbd/clone")[..(2 * Block)]);
        Assert.Equal(new byte[Block], cluster.Export(name)[..Block]);
    }

    [Fact]
    public void An_image_in_a_namespace_is_another_one()
    {
        cluster.Rbd("namespace", "create", "rbd/apart");
        string name = Create("apart/disk", "4M");
        using (RbdTarget target = Open(name))
        {
            new TargetClient(target).Write(0, [.. Enumerable.Repeat((byte)9, Block)]);
        }

        Assert.Equal(9, cluster.Export(name)[0]);
    }

    [Fact]
    public void A_second_writer_is_refused_and_a_reader_is_not()
    {
        string name = Create("owned", "4M");
        using RbdTarget target = Open(name);
        UblkException failure = Assert.Throws<UblkException>(() => Open(name));
        Assert.Equal(UblkError.BackingFileInUse, failure.Error);
        Assert.Contains(OwnerOf(name), failure.Message, StringComparison.Ordinal);
        using RbdTarget reader = Open(name, options => new TargetOptions(options) { ReadOnly = true });
        Assert.Equal(new byte[Block], new TargetClient(reader).Read(0, Block));
        new TargetClient(target).Write(0, new byte[Block]);
    }

    [Fact]
    public void A_blocklisted_client_fails_with_one_errno_and_says_so_once()
    {
        string name = Create("lost", "4M");
        ConcurrentQueue<string> warnings = [];
        using RbdTarget target = Open(name, options => new TargetOptions(options) { Warn = warnings.Enqueue });
        TargetClient client = new(target);
        client.Write(0, new byte[Block]);
        cluster.Ceph("osd", "blacklist", "add", OwnerOf(name));
        for (int number = 0; number < 3; number++)
        {
            Assert.Equal(Libc.ESHUTDOWN, Assert.Throws<UblkException>(() => client.Read(0, Block)).Errno);
        }

        Assert.Contains("blocklisted", Assert.Single(warnings), StringComparison.Ordinal);
    }

    [Fact]
    public void Requests_wait_for_an_OSD_that_stops_and_fail_after_a_timeout_that_is_set()
    {
        using RbdTarget patient = Open(Create("patient", "4M"));
        using RbdTarget hasty = Open(Create("hasty", "4M"),
            options => new TargetOptions(new Dictionary<string, string>(options) { ["Cluster"] = "rados_osd_op_timeout=1" }));

        // What was never written is read without the OSD.
        new TargetClient(patient).Write(0, new byte[Block]);
        new TargetClient(hasty).Write(0, new byte[Block]);
        new TargetClient(patient).Flush();
        new TargetClient(hasty).Flush();
        QueueHarness.Run(patient, harness =>
        {
            IoTask<int> answer = default;
            cluster.WithoutOsd(() =>
            {
                answer = harness.Start(0, QueueHarness.Describe(IoOperation.Read, 0, Block));
                Assert.Equal(Libc.ETIMEDOUT, Assert.Throws<UblkException>(() => new TargetClient(hasty).Read(0, Block)).Errno);
                Assert.False(answer.IsCompleted);
            });
            Assert.Equal(Block, harness.AnswerOf(answer));
        });
        Assert.Equal(new byte[Block], new TargetClient(hasty).Read(0, Block));
    }

    [Fact]
    public void What_the_image_is_like_is_told()
    {
        cluster.Rbd("create", "rbd/told", "--size", "4M", "--object-size", "1M", "--image-feature", "layering,exclusive-lock");
        using RbdTarget target = Open("rbd/told");
        using JsonDocument info = JsonDocument.Parse(cluster.Rbd("info", "--format", "json", "rbd/told"));
        Assert.Equal(new Dictionary<string, string>
        {
            ["ClusterId"] = cluster.Ceph("fsid").Trim(),
            ["ImageId"] = info.RootElement.GetProperty("id").GetString()!,
            ["Features"] = "exclusive-lock,layering",
            ["ObjectSize"] = "1048576",
            ["LockOwner"] = OwnerOf("rbd/told"),
        }, target.Properties);
        using RbdTarget reader = Open("rbd/told", options => new TargetOptions(options) { ReadOnly = true });
        Assert.DoesNotContain("LockOwner", reader.Properties);
    }

    [Fact]
    public void A_lock_that_is_taken_away_excludes_the_client()
    {
        string name = Create("deprived", "4M");
        ConcurrentQueue<string> warnings = [];
        using RbdTarget target = Open(name, options => new TargetOptions(options) { Warn = warnings.Enqueue });
        using JsonDocument locks = JsonDocument.Parse(cluster.Rbd("lock", "ls", "--format", "json", name));
        JsonElement taken = Assert.Single(locks.RootElement.EnumerateArray());
        cluster.Rbd("lock", "rm", name, taken.GetProperty("id").GetString()!, taken.GetProperty("locker").GetString()!);
        Assert.Equal(Libc.ESHUTDOWN, Assert.Throws<UblkException>(() => new TargetClient(target).Write(0, new byte[Block])).Errno);
        Assert.Contains("blocklisted", Assert.Single(warnings), StringComparison.Ordinal);
        using RbdTarget other = Open(name);
        new TargetClient(other).Write(0, new byte[Block]);
    }

    [Fact]
    public void A_change_of_size_is_noticed_and_goes_through_whoever_makes_it()
    {
        string name = Create("resized", "4M");
        using AutoResetEvent changed = new(initialState: false);
        using RbdTarget target = Open(name, options => new TargetOptions(options) { SizeChanged = () => changed.Set() });
        TargetCounter size = Assert.Single(target.Counters);
        Assert.Equal((RbdTarget.Definition.SizeCounter, 4 << 20), (size.Name, size.Value));

        cluster.Rbd("resize", "--no-progress", name, "--size", "8M");
        Assert.True(changed.WaitOne(TimeSpan.FromMinutes(1)));
        Assert.Equal(8 << 20, size.Value);
        new TargetClient(target).Write((8 << 20) - Block, new byte[Block]);

        // Beside the worker, which has the lock.
        TargetOptions options = new(OptionsOf(name));
        foreach (int mebibytes in (int[])[16, 6])
        {
            RbdTarget.Definition.ResizeStorage!(options, mebibytes << 20);
            Assert.True(changed.WaitOne(TimeSpan.FromMinutes(1)));
            Assert.Equal(mebibytes << 20, size.Value);
        }

        new TargetClient(target).Write((6 << 20) - Block, new byte[Block]);
        cluster.Rbd("snap", "create", "--no-progress", $"{name}@s");
    }

    [Fact]
    public void An_image_that_was_enlarged_without_a_worker_is_noticed_by_the_next_one()
    {
        string name = Create("enlarged", "8M");
        using AutoResetEvent changed = new(initialState: false);
        using RbdTarget target = Open(name,
            options => new TargetOptions(options) { FormerSize = 4 << 20, SizeChanged = () => changed.Set() });
        Assert.True(changed.WaitOne(TimeSpan.FromMinutes(1)));
        Assert.Equal(8 << 20, Assert.Single(target.Counters).Value);
        new TargetClient(target).Write((8 << 20) - Block, new byte[Block]);
    }

    [Fact]
    public void A_size_that_the_image_cannot_have_is_refused()
    {
        string name = Create("huge", "4M");
        using RbdTarget target = Open(name);
        UblkException failure = Assert.Throws<UblkException>(
            () => RbdTarget.Definition.ResizeStorage!(new TargetOptions(OptionsOf(name)), long.MaxValue / 512 * 512));
        Assert.Contains($"size of {name}", failure.Message, StringComparison.Ordinal);
        Assert.Equal(4 << 20, Assert.Single(target.Counters).Value);
    }

    [Fact]
    public void A_wrong_key_is_refused()
    {
        string keyring = Path.GetTempFileName();
        try
        {
            Shell.Run("ceph-authtool", keyring, "--gen-key", "--name", "client.admin");
            UblkException failure = Assert.Throws<UblkException>(() => Open("rbd/disk",
                options => new TargetOptions(new Dictionary<string, string>(options) { ["KeyringPath"] = keyring })));
            Assert.Equal(UblkError.ConnectionFailed, failure.Error);
            Assert.Contains("-KeyringPath", failure.Message, StringComparison.Ordinal);
        }
        finally
        {
            File.Delete(keyring);
        }
    }

    [Theory]
    [InlineData("nowhere/disk", "pool nowhere", UblkError.PathNotFound)]
    [InlineData("rbd/nothing", "image rbd/nothing", UblkError.PathNotFound)]
    [InlineData("rbd/nowhere/disk", "image rbd/nowhere/disk", UblkError.PathNotFound)]
    public void What_is_not_there_is_named(string spec, string what, UblkError error)
    {
        UblkException failure = Assert.Throws<UblkException>(() => Open(spec));
        Assert.Equal((error, Libc.ENOENT), (failure.Error, failure.Errno));
        Assert.Contains(what, failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_image_without_the_feature_is_refused()
    {
        cluster.Rbd("create", "rbd/plain", "--size", "4M", "--image-feature", "layering");
        UblkException failure = Assert.Throws<UblkException>(() => Open("rbd/plain"));
        Assert.Contains("rbd feature enable rbd/plain exclusive-lock", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void No_cluster_is_an_error_after_its_timeout()
    {
        UblkException failure = Assert.Throws<UblkException>(() => RbdTarget.Open(new TargetOptions(new Dictionary<string, string>
        {
            ["Spec"] = "rbd/disk", ["Cluster"] = "mon_host=127.0.0.1:1;client_mount_timeout=1;keyring=/dev/null",
        })));
        Assert.Equal(UblkError.ConnectionFailed, failure.Error);
    }

    [Theory]
    [InlineData("noise", "option=value")]
    [InlineData("no_such_option=1", "no_such_option=1")]
    public void A_bad_setting_is_named(string setting, string what)
    {
        UblkException failure = Assert.Throws<UblkException>(() => Open("rbd/disk",
            options => new TargetOptions(new Dictionary<string, string>(options) { ["Cluster"] = setting })));
        Assert.Equal(UblkError.InvalidArgument, failure.Error);
        Assert.Contains(what, failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Several_threads_are_refused_before_the_cluster_is_asked()
    {
        Dictionary<string, string> options = new() { ["Spec"] = "rbd/disk" };
        Assert.Equal(UblkError.NotSupported,
            Assert.Throws<UblkException>(() => RbdTarget.Open(new TargetOptions(options) { QueueThreads = 2 })).Error);
    }

    private string Create(string name, string size)
    {
        cluster.Rbd("create", $"rbd/{name}", "--size", size);
        return $"rbd/{name}";
    }

    private RbdTarget Open(string spec, Func<IReadOnlyDictionary<string, string>, TargetOptions>? make = null)
    {
        Dictionary<string, string> options = OptionsOf(spec);
        return RbdTarget.Open(make is null ? new TargetOptions(options) : make(options));
    }

    private Dictionary<string, string> OptionsOf(string spec) => new() { ["Spec"] = spec, ["ConfigPath"] = cluster.ConfigPath };

    // The last column of: Locker, ID, Address.
    private string OwnerOf(string name) =>
        cluster.Rbd("lock", "ls", name).Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries)[^1];
}

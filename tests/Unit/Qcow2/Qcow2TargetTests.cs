using System.Buffers.Binary;
using System.Runtime.InteropServices;
using CsCheck;
using Microsoft.Win32.SafeHandles;
using Ublk.Files;
using Ublk.Interop;
using Ublk.Io;
using Ublk.Qcow2.Data;
using Ublk.Qcow2.Format;
using Ublk.Qcow2.Opening;
using Ublk.Qcow2.State;
using Ublk.Targets;
using Ublk.Targets.Qcow2;
using Ublk.Tests.Qcow2.Crash;
using Ublk.Tests.Qcow2.Format;
using Ublk.Tests.Serving;

namespace Ublk.Tests.Qcow2;

/// <summary>A qcow2 disk against a model in memory, and its image against qemu's own tools.</summary>
public class Qcow2TargetTests
{
    private const int Size = 1 << 20;
    private const uint NoUnmap = 1u << 15;
    private const uint ForceUnitAccess = 1u << 13;

    private static readonly Gen<(IoOperation Operation, int Block, int Blocks, uint Flags, byte Fill)> Request = Gen.Select(
        Gen.OneOf(
            Gen.Const(IoOperation.Read), Gen.Const(IoOperation.Write), Gen.Const(IoOperation.Write), Gen.Const(IoOperation.Flush),
            Gen.Const(IoOperation.Discard), Gen.Const(IoOperation.WriteZeroes)),
        Gen.Int[0, (Size / 512) - 1], Gen.Int[1, 400], Gen.OneOf(Gen.Const(0u), Gen.Const(NoUnmap), Gen.Const(ForceUnitAccess)),
            Gen.Byte[1, 255]);

    private static int Iterations => int.Parse(Environment.GetEnvironmentVariable("UBLK_TEST_ITERATIONS") ?? "3");

    [Theory]
    [InlineData("")]
    [InlineData("compat=v2")]
    [InlineData("cluster_size=512")]
    [InlineData("cluster_size=512,refcount_bits=64")]
    [InlineData("cluster_size=4k,refcount_bits=1")]
    [InlineData("cluster_size=8k,refcount_bits=8")]
    [InlineData("cluster_size=2M")]
    [InlineData("extended_l2=on")]
    [InlineData("extended_l2=on,cluster_size=16k")]
    [InlineData("lazy_refcounts=on")]
    [InlineData("preallocation=metadata")]
    public void Any_sequence_of_requests_reads_back_as_the_model_and_qemu_agrees(string options) =>
        Request.List[1, 60].Sample(
            requests =>
            {
                using QemuImage image = new($"{Size}", options);
                Play(image, new byte[Size], requests);
            }, iter: Iterations, threads: 1);

    [Theory]
    [InlineData("qcow2", "", Size)]
    [InlineData("qcow2", "compat=v2", Size)]
    [InlineData("qcow2", "", Size / 2)]
    [InlineData("qcow2", "", Size * 2)]
    [InlineData("raw", "cluster_size=4k", (Size / 2) + 100)]
    [InlineData("qcow2", "extended_l2=on", Size)]
    [InlineData("qcow2", "extended_l2=on,cluster_size=16k", Size / 2)]
    public void Any_sequence_over_a_backing_file_reads_back_as_the_model_and_leaves_it_alone(string format, string options, int size) =>
        Request.List[1, 60].Sample(
            requests =>
            {
                using QemuImage image = new("1M");
                byte[] content = Backing(image, format, size);
                byte[] before = File.ReadAllBytes(image.PathOf("base"));
                image.Create("disk.qcow2", $"{Size}", options, "-F", format, "-b", "base");
                byte[] model = new byte[Size];
                content.AsSpan(0, int.Min(size, Size)).CopyTo(model);
                Play(image, model, requests);
                Assert.Equal(before, File.ReadAllBytes(image.PathOf("base")));
            }, iter: Iterations, threads: 1);

    [Theory]
    [InlineData("", "/var/tmp", "true")]
    [InlineData("", "/var/tmp", "false")]
    [InlineData("", "/dev/shm", "false")]
    [InlineData("cluster_size=512,refcount_bits=64", "/dev/shm", "false")]
    [InlineData("extended_l2=on", "/var/tmp", "true")]
    public void Many_requests_at_once_leave_an_image_without_errors_or_leaks(string options, string parent, string direct)
    {
        using QemuImage image = new("64M", options, parent);
        Random random = new(1);
        using (Qcow2Target target = Qcow2Disk.Open(image.Path, ("DirectIO", direct)))
        {
            QueueHarness.Run(target, harness => harness.Saturate(2000, number => random.Next(10) switch
            {
                0 => QueueHarness.Describe(IoOperation.Flush),
                1 => QueueHarness.Describe(IoOperation.Discard, random.Next(1000) * 4096, 65536),
                2 => QueueHarness.Describe(IoOperation.WriteZeroes, random.Next(1000) * 4096, 8192),
                3 => QueueHarness.Describe(IoOperation.Write, random.Next(1000) * 4096, 4096, ForceUnitAccess),
                4 or 5 => QueueHarness.Describe(IoOperation.Read, random.Next(1000) * 4096, 65536),
                _ => QueueHarness.Describe(IoOperation.Write, random.Next(1000) * 4096, 4096 * random.Next(1, 8)),
            }));
        }

        image.Check();
    }

    [Fact]
    public void An_image_larger_than_its_cache_and_its_refcount_table_grows_as_it_is_written()
    {
        using QemuImage image = new("64M", "cluster_size=512,refcount_bits=64");
        using (Qcow2Target target = Qcow2Disk.Open(image.Path, ("CacheSize", "4096")))
        {
            QueueHarness.Run(target, harness => harness.Saturate(1024, number =>
                QueueHarness.Describe(IoOperation.Write, number % 2 * (32 << 20) + (number / 2 * 16384), 16384)));
            Assert.True(target.Statistics.CacheMisses.Value > 0 || target.Statistics.MetadataFlushes.Value > 0);
        }

        image.Check();
    }

    [Theory]
    [InlineData("")]
    [InlineData("cluster_size=4k,refcount_bits=8")]
    [InlineData("extended_l2=on")]
    public void A_worker_that_dies_leaves_a_journal_by_which_the_next_one_has_every_answered_write(string options)
    {
        using QemuImage image = new("16M", options);
        byte[] model = new byte[16 << 20];
        string state = image.PathOf("state");
        for (int life = 0; life < 4; life++)
        {
            // Never disposed: it is as if it had been killed.
            Qcow2Target target = OpenWithState(image.Path, state);
            Random random = new(life);
            QueueHarness.Run(target, harness =>
            {
                byte[] data = new byte[65536];
                for (int start = 0; start < model.Length; start += data.Length)
                {
                    Assert.Equal(data.Length, harness.Answer(QueueHarness.Describe(IoOperation.Read, start, data.Length), data));
                    Assert.True(model.AsSpan(start, data.Length).SequenceEqual(data));
                }

                for (int count = 0; count < 60; count++)
                {
                    int start = random.Next(4000) * 4096;
                    int length = int.Min(4096 * random.Next(1, 16), model.Length - start);
                    IoOperation operation = random.Next(8) switch
                    {
                        0 => IoOperation.WriteZeroes,
                        1 => IoOperation.Flush,
                        _ => IoOperation.Write,
                    };
                    random.NextBytes(data);
                    int asked = operation == IoOperation.Flush ? 0 : length;
                    Assert.True(harness.Answer(QueueHarness.Describe(operation, start, asked), data.AsSpan(0, asked)) >= 0);
                    if (operation == IoOperation.Write)
                    {
                        data.AsSpan(0, length).CopyTo(model.AsSpan(start));
                    }
                    else if (operation == IoOperation.WriteZeroes)
                    {
                        model.AsSpan(start, length).Clear();
                    }
                }
            });
            Qcow2Disk.Kill(target);
            image.CheckButForLeaks();
        }

        OpenWithState(image.Path, state).Dispose();
        image.CheckButForLeaks();
        Assert.True(model.AsSpan().SequenceEqual(image.Read()));
    }

    [Theory]
    [InlineData("missing")]
    [InlineData("foreign")]
    [InlineData("short")]
    [InlineData("read-only")]
    public void A_recovery_without_its_journal_is_refused(string how)
    {
        using QemuImage image = new("1M");
        string state = image.PathOf("state");
        Qcow2Target target = OpenWithState(image.Path, state);
        Assert.True(target.KeepsState);
        Qcow2Disk.Write(target, 0, 4096, 7);
        Qcow2Disk.Kill(target);
        switch (how)
        {
            case "missing":
                File.Delete(state);
                break;
            case "foreign":
                using (FileStream file = File.OpenWrite(state))
                {
                    file.Position = 16;
                    file.Write(new byte[8]);
                }

                break;
            case "short":
                using (FileStream file = File.OpenWrite(state))
                {
                    file.SetLength(4096);
                }

                break;
        }

        UblkException error =
            Assert.Throws<UblkException>(() => OpenWithState(image.Path, state, mustHaveState: true, readOnly: how == "read-only"));
        Assert.Contains(state, error.Message, StringComparison.Ordinal);
        Assert.Equal(how != "missing", File.Exists(state));
        Assert.False(image.Read().AsSpan().ContainsAnyExcept((byte)0));
    }

    [Fact]
    public void A_recovery_with_its_journal_and_a_new_disk_without_one_are_served()
    {
        using QemuImage image = new("1M");
        Qcow2Target target = OpenWithState(image.Path, image.PathOf("state"));
        Qcow2Disk.Write(target, 0, 4096, 7);
        Qcow2Disk.Kill(target);
        using (Qcow2Target next = OpenWithState(image.Path, image.PathOf("state"), mustHaveState: true))
        {
            Assert.Equal(7, Qcow2Disk.Read(next)[4095]);
        }

        using Qcow2Target readOnly = OpenWithState(image.Path, image.PathOf("none"), mustHaveState: true, readOnly: true);
        Assert.False(readOnly.KeepsState);
    }

    [Fact]
    public void What_cannot_be_written_back_at_the_end_is_an_error()
    {
        SimulatedDisk disk = new(new Random(1));
        using QemuImage image = new("1M");
        disk.Add(SimulatedImage.Name, File.ReadAllBytes(image.Path));
        Qcow2Layer layer = SimulatedImage.Open(disk, new ImageOptions(), out ImageUpdater? updater);
        using Qcow2Target target = new(layer, updater, DiscardMode.Unmap, []);
        using AlignedBuffer buffer = new(4096);
        Assert.Equal(0, ImageFile.ResultOf(updater!.WriteAsync(buffer.Part(0, 4096), 0, durable: false)));
        disk.Fault = _ => -Libc.ENOSPC;
        UblkException error = Assert.Throws<UblkException>(target.Finish);
        Assert.Equal(Libc.ENOSPC, error.Errno);
    }

    [Fact]
    public void A_flush_punches_discarded_clusters()
    {
        using QemuImage image = new("64M");
        using Qcow2Target target = Qcow2Disk.Open(image.Path);
        for (int start = 0; start < 16 << 20; start += 64 << 10)
        {
            Qcow2Disk.Write(target, start, 64 << 10, 7);
        }

        Assert.Equal(0, Qcow2Disk.Do(target, IoOperation.Flush));
        Assert.True(Used(image.Path) > 15 << 20);
        Assert.Equal(0, Qcow2Disk.Discard(target, 0, 16 << 20));
        Assert.Equal(0, Qcow2Disk.Do(target, IoOperation.Flush));
        Assert.True(Used(image.Path) < 1 << 20);
        Assert.Equal(256, target.Statistics.Frees.Value);
    }

    [Theory]
    [InlineData("write 64k 64k", "write 0 64k")]
    [InlineData("write 512k 64k")]
    public void A_journal_is_refused_when_another_program_wrote_the_image_meanwhile(params string[] commands)
    {
        using QemuImage image = new("1M");
        Qcow2Target target = OpenWithState(image.Path, image.PathOf("state"));
        QueueHarness.Run(target, harness => harness.Answer(QueueHarness.Describe(IoOperation.Write, 0, 4096), new byte[4096]));
        Qcow2Disk.Kill(target);
        image.Play(commands);
        UblkException error = Assert.Throws<UblkException>(() => OpenWithState(image.Path, image.PathOf("state")));
        Assert.Contains("another program changed it", error.Message);
        image.Check();
    }

    [Fact]
    public void A_recovery_writes_a_refcount_block_that_is_its_journals_only_record()
    {
        const int Index = 5;
        using QemuImage image = new("1M", "cluster_size=512");
        string state = image.PathOf("state");
        long place = (new FileInfo(image.Path).Length + 511) / 512 * 512;
        Assert.Equal(0, Libc.Statx(image.Path, out Libc.StatxBuffer file));
        using (WriteJournal journal = WriteJournal.Open(
            state, (((ulong)file.DeviceMajor << 32) | file.DeviceMinor, file.Inode), 512, mustExist: false))
        {
            journal.AddRefcountBlock(Index, place);
        }

        Qcow2Target target = OpenWithState(image.Path, state, mustHaveState: true);
        Qcow2Disk.Kill(target);
        ulong[] table = new ulong[Index + 1];
        using (SafeFileHandle written = File.OpenHandle(image.Path))
        {
            RandomAccess.Read(written, MemoryMarshal.AsBytes(table.AsSpan()), ImageHeaderTests.Read(image.Path).Header.RefcountTableOffset);
        }

        Assert.Equal(place, BinaryPrimitives.ReverseEndianness((long)table[Index]));
        image.CheckButForLeaks();
    }

    private static Qcow2Target OpenWithState(string path, string statePath, bool mustHaveState = false, bool readOnly = false) =>
        Qcow2Target.Open(
        new TargetOptions(new Dictionary<string, string> { ["Path"] = path }) { StatePath = statePath, MustHaveState = mustHaveState,
            ReadOnly = readOnly });

    private static long Used(string path) => long.Parse(Shell.Run("stat", "--format=%b", path)) * 512;

    private static byte[] Backing(QemuImage image, string format, int size)
    {
        byte[] content = new byte[size];
        new Random(7).NextBytes(content);
        content.AsSpan(size / 4, size / 4).Clear();
        File.WriteAllBytes(image.PathOf("base.raw"), content);
        Shell.Run("qemu-img", "convert", "-f", "raw", "-O", format, image.PathOf("base.raw"), image.PathOf("base"));
        return content;
    }

    private static void Play(
        QemuImage image, byte[] model, IReadOnlyList<(IoOperation Operation, int Block, int Blocks, uint Flags, byte Fill)> requests)
    {
        using (Qcow2Target target = Qcow2Disk.Open(image.Path, ("Discard", "Zero")))
        {
            Assert.Equal(Size, target.Geometry.Size);
            QueueHarness.Run(target, harness =>
            {
                DiskReplay.Play(harness, target.Geometry.LogicalBlockSize, model, requests);
                byte[] all = new byte[64 << 10];
                for (int start = 0; start < Size; start += all.Length)
                {
                    Assert.Equal(all.Length, harness.Answer(QueueHarness.Describe(IoOperation.Read, start, all.Length), all));
                    Assert.True(model.AsSpan(start, all.Length).SequenceEqual(all));
                }
            }, bufferSize: 256 << 10);
        }

        image.Check();
        Assert.True(model.AsSpan().SequenceEqual(image.Read()));
    }
}

using CsCheck;
using Ublk.Io;
using Ublk.Targets;
using Ublk.Targets.Loop;
using Ublk.Tests.Serving;

namespace Ublk.Tests.Targets;

/// <summary>A loop disk against a model in memory, and the file behind it against both.</summary>
public class LoopTargetTests
{
    private const int Size = 256 << 10;
    private const uint NoUnmap = 1u << 15;
    private const uint ForceUnitAccess = 1u << 13;

    private static readonly Gen<(IoOperation Operation, int Block, int Blocks, uint Flags, byte Fill)> Request = Gen.Select(
        Gen.OneOf(
            Gen.Const(IoOperation.Read), Gen.Const(IoOperation.Write), Gen.Const(IoOperation.Flush),
            Gen.Const(IoOperation.Discard), Gen.Const(IoOperation.WriteZeroes)),
        Gen.Int[0, (Size / 512) - 1], Gen.Int[1, 128], Gen.OneOf(Gen.Const(0u), Gen.Const(NoUnmap), Gen.Const(ForceUnitAccess)),
            Gen.Byte[1, 255]);

    [Theory]
    [InlineData("/var/tmp", true, 0, 0)]
    [InlineData("/var/tmp", false, 0, 0)]
    [InlineData("/var/tmp", true, 8192, 0)]
    [InlineData("/var/tmp", false, 1536, 100)]
    [InlineData("/var/tmp", true, 0, 300)]
    [InlineData("/dev/shm", false, 0, 0)]
    [InlineData("/dev/shm", false, 512, 1)]
    public void Any_sequence_of_requests_reads_back_as_the_model_and_lands_in_the_file(
        string directory, bool direct, int offset, int missingTail) =>
        Request.List[1, 60].Sample(
            requests => Play(directory, direct, offset, missingTail, requests), iter: 25);

    [Theory]
    [InlineData("/var/tmp")]
    [InlineData("/dev/shm")]
    public void A_file_cut_short_under_the_disk_reads_as_zeroes_beyond_its_end(string directory)
    {
        using TemporaryFile file = new(Size, directory);
        File.WriteAllBytes(file.Path, [.. Enumerable.Repeat((byte)7, Size)]);
        using LoopTarget target = Open(file.Path, ("DirectIO", "false"));
        using (FileStream stream = File.OpenWrite(file.Path))
        {
            stream.SetLength(1000);
        }

        QueueHarness.Run(target, harness =>
        {
            byte[] data = new byte[4096];
            Assert.Equal(4096, harness.Answer(QueueHarness.Describe(IoOperation.Read, 0, 4096), data));
            Assert.Equal(7, data[999]);
            Assert.Equal(-1, data.AsSpan(1000).IndexOfAnyExcept((byte)0));
        });
    }

    [Theory]
    [InlineData("/var/tmp")]
    [InlineData("/dev/shm")]
    public void The_errno_of_the_file_comes_out_whole(string directory)
    {
        // A write to a file that is open for reading alone is EBADF, errno 9.
        using TemporaryFile file = new(Size, directory);
        using LoopTarget target =
            LoopTarget.Open(new TargetOptions(new Dictionary<string, string> { ["Path"] = file.Path }) { ReadOnly = true });
        QueueHarness.Run(target, harness =>
            Assert.Equal(-9, harness.Answer(QueueHarness.Describe(IoOperation.Write, 0, 4096), new byte[4096])));
    }

    [Fact]
    public void A_full_file_system_is_ENOSPC()
    {
        Assert.SkipUnless(Environment.IsPrivilegedProcess, "needs root, to mount a small file system");
        DirectoryInfo directory = Directory.CreateTempSubdirectory("ublk-test-");
        Shell.Run("mount", "-t", "tmpfs", "-o", "size=256k", "none", directory.FullName);
        try
        {
            using TemporaryFile file = new(1 << 20, directory.FullName);
            using LoopTarget target = Open(file.Path, ("DirectIO", "false"));
            QueueHarness.Run(target, harness =>
            {
                byte[] data = new byte[64 << 10];
                int[] results = [.. Enumerable.Range(0, 16).Select(
                    i => harness.Answer(QueueHarness.Describe(IoOperation.Write, i * data.Length, data.Length), data))];
                Assert.Contains(-28, results);
                Assert.All(results, result => Assert.True(result == data.Length || result == -28, $"{result}"));
            });
        }
        finally
        {
            // The kernel lets go of a ring's files a moment after the ring.
            Shell.Run("umount", "--lazy", directory.FullName);
            directory.Delete();
        }
    }

    [Fact]
    public void A_discard_gives_the_files_blocks_back()
    {
        using TemporaryFile file = new(Size);
        File.WriteAllBytes(file.Path, [.. Enumerable.Repeat((byte)7, Size)]);
        using LoopTarget target = Open(file.Path);
        QueueHarness.Run(target, harness =>
            Assert.Equal(0, harness.Answer(QueueHarness.Describe(IoOperation.Discard, 0, Size))));
        Assert.Equal("0", Shell.Run("du", "--block-size=1", "--summarize", file.Path).Split('\t')[0]);
    }

    private static void Play(
        string directory, bool direct, int offset, int missingTail,
        IReadOnlyList<(IoOperation Operation, int Block, int Blocks, uint Flags, byte Fill)> requests)
    {
        using TemporaryFile file = new(offset + Size - missingTail, directory);
        byte[] model = new byte[Size];
        using (LoopTarget target = Open(file.Path, ("DirectIO", direct ? "true" : "false"), ("Offset", $"{offset}")))
        {
            Assert.Equal(Size, target.Geometry.Size);
            QueueHarness.Run(target, harness => DiskReplay.Play(harness, target.Geometry.LogicalBlockSize, model, requests));
        }

        byte[] content = file.Content;
        Assert.True(content.AsSpan(offset).SequenceEqual(model.AsSpan(0, content.Length - offset)));
        Assert.Equal(-1, model.AsSpan(content.Length - offset).IndexOfAnyExcept((byte)0));
    }

    private static LoopTarget Open(string path, params (string Name, string Value)[] options)
    {
        Dictionary<string, string> values = options.ToDictionary(option => option.Name, option => option.Value);
        values["Path"] = path;
        return LoopTarget.Open(new TargetOptions(values));
    }
}

using Ublk.Interop;
using Ublk.Io;
using Ublk.Targets;
using Ublk.Targets.Loop;
using Ublk.Targets.Qcow2;
using Ublk.Tests.Serving;

namespace Ublk.Tests.Targets;

/// <summary>Writes that the kernel took and could not write back: the device behind the file is full. Needs root.</summary>
public class LostWritesTests
{
    private const int Block = 64 << 10;
    private const uint ForceUnitAccess = 1u << 13;

    /// <summary>The kernel reports lost data once, to whichever request makes something durable next.</summary>
    [Theory]
    [InlineData("Loop", true)]
    [InlineData("Loop", false)]
    [InlineData("Qcow2", true)]
    [InlineData("Qcow2", false)]
    public void Every_flush_fails_after_the_first_one_or_a_durable_write_that_reports_them(string kind, bool startsWithWrite)
    {
        Assert.SkipUnless(Environment.IsPrivilegedProcess, "needs root, to mount a small file system");
        DirectoryInfo directory = Directory.CreateTempSubdirectory("ublk-test-");
        Shell.Run("mount", "-t", "tmpfs", "-o", "size=2m", "none", directory.FullName);
        try
        {
            using LoopDevice device = new(16 << 20, directory: directory.FullName);
            using BlockTarget target = Open(kind, device.Path);
            QueueHarness.Run(target, harness =>
            {
                Assert.Equal(Block, Write(harness, 0, ForceUnitAccess));
                for (int block = 1; block < 64; block++)
                {
                    Assert.Equal(Block, Write(harness, block));
                }

                // Another program makes the kernel write them back.
                Shell.Run("sh", "-c", $"blockdev --flushbufs {device.Path} || true");
                Assert.Equal(-Libc.EIO, startsWithWrite ? Write(harness, 0, ForceUnitAccess) : Flush(harness));
                Assert.Equal(-Libc.EIO, Flush(harness));
                Assert.Equal(-Libc.EIO, Write(harness, 0, ForceUnitAccess));
                Assert.Equal(Block, harness.Answer(QueueHarness.Describe(IoOperation.Read, 0, Block), new byte[Block]));
            });
        }
        finally
        {
            // The kernel lets go of a ring's files a moment after the ring.
            Shell.Run("umount", "--lazy", directory.FullName);
            directory.Delete();
        }
    }

    private static BlockTarget Open(string kind, string path)
    {
        TargetOptions options = new(new Dictionary<string, string> { ["Path"] = path, ["DirectIO"] = "false" });
        if (kind == "Loop")
        {
            return LoopTarget.Open(options);
        }

        Shell.Run("qemu-img", "create", "-q", "-f", "qcow2", "-o", "preallocation=metadata", path, "8M");
        return Qcow2Target.Open(options);
    }

    private static int Flush(QueueHarness harness) => harness.Answer(QueueHarness.Describe(IoOperation.Flush));

    private static int Write(QueueHarness harness, int block, uint flags = 0) =>
        harness.Answer(QueueHarness.Describe(IoOperation.Write, block * Block, Block, flags), new byte[Block]);
}

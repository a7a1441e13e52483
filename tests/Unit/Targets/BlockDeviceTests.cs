using Ublk.Images;
using Ublk.Io;
using Ublk.Qcow2.AtRest;
using Ublk.Targets;
using Ublk.Targets.Loop;
using Ublk.Targets.Qcow2;
using Ublk.Tests.Qcow2;
using Ublk.Tests.Serving;

namespace Ublk.Tests.Targets;

/// <summary>Block devices behind disks: what is lost when one vanishes, and what is won when one grows.</summary>
public class BlockDeviceTests
{
    private const int Eio = -5;
    private const int Enospc = -28;

    [Theory]
    [InlineData("true")]
    [InlineData("false")]
    public void Reading_beyond_the_end_of_a_device_that_became_shorter_is_an_error(string direct)
    {
        using LoopDevice device = new(1 << 20);
        using LoopTarget target =
            LoopTarget.Open(new TargetOptions(new Dictionary<string, string> { ["Path"] = device.Path, ["DirectIO"] = direct }));
        device.Size = 512 << 10;
        QueueHarness.Run(target, harness =>
        {
            byte[] data = new byte[64 << 10];
            Assert.Equal(4096, harness.Answer(QueueHarness.Describe(IoOperation.Read, 0, 4096), data));
            Assert.Equal(Eio, harness.Answer(QueueHarness.Describe(IoOperation.Read, 768 << 10, 4096), data));
            Assert.Equal(Eio, harness.Answer(QueueHarness.Describe(IoOperation.Read, (512 << 10) - 4096, 8192), data));
        });
    }

    [Fact]
    public void Without_a_copy_the_memory_of_clients_is_aligned_to_the_block()
    {
        using LoopDevice device = new(1 << 20);
        using LoopTarget target = LoopTarget.Open(new TargetOptions(new Dictionary<string, string> { ["Path"] = device.Path }));
        Assert.Equal(0, target.Geometry.MemoryAlignment % target.Geometry.LogicalBlockSize);
    }

    [Fact]
    public void A_device_that_refuses_writes_is_a_disk_that_refuses_them()
    {
        using LoopDevice device = new(1 << 20);
        Shell.Run("blockdev", "--setro", device.Path);
        TargetOptions options = new(new Dictionary<string, string> { ["Path"] = device.Path });
        using LoopTarget target = LoopTarget.Open(options);
        Assert.True(target.Geometry.ReadOnly);
        Assert.Contains("read-only", Assert.Single(options.Warnings), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("raw")]
    [InlineData("qcow2")]
    public void A_backing_device_that_lost_its_data_is_an_error(string format)
    {
        using LoopDevice device = new(1 << 20);
        using QemuImage image = new("1M");
        if (format == "qcow2")
        {
            Shell.Run("qemu-img", "create", "-q", "-f", "qcow2", device.Path, "768k");
        }

        Shell.Run("qemu-io", "-f", format, "-c", "write -P 7 0 512k", device.Path);
        image.Create("disk.qcow2", "1M", "", "-F", format, "-b", device.Path);
        using Qcow2Target target = Qcow2Disk.Open(image.Path);
        Assert.Equal(4096, Qcow2Disk.Do(target, IoOperation.Read, 0, 4096));
        device.Size = 64 << 10;
        Assert.Equal(Eio, Qcow2Disk.Do(target, IoOperation.Read, 256 << 10, 4096));
    }

    [Fact]
    public void An_image_on_a_device_that_grows_goes_on_growing()
    {
        using LoopDevice device = new(8 << 20);
        Shell.Run("qemu-img", "create", "-q", "-f", "qcow2", "-o", "cluster_size=4k", device.Path, "512M");
        using (Qcow2Target target = Qcow2Disk.Open(device.Path, ("CacheSize", "4096")))
        {
            QueueHarness.Run(target, harness =>
            {
                byte[] data = new byte[64 << 10];
                data.AsSpan().Fill(7);
                for (int start = 0; start < 7 << 20; start += data.Length)
                {
                    Assert.Equal(data.Length, harness.Answer(QueueHarness.Describe(IoOperation.Write, start, data.Length), data));
                }

                device.Size = 64 << 20;
                for (int number = 0; number < 200; number++)
                {
                    Assert.Equal(4096, harness.Answer(QueueHarness.Describe(IoOperation.Write, (8 << 20) + (number * (2 << 20)), 4096),
                        data.AsSpan(0, 4096)));
                }

                Assert.Equal(0, harness.Answer(QueueHarness.Describe(IoOperation.Flush)));
                for (int number = 0; number < 200; number++)
                {
                    Assert.Equal(4096, harness.Answer(QueueHarness.Describe(IoOperation.Read, (8 << 20) + (number * (2 << 20)), 4096),
                        data.AsSpan(0, 4096)));
                    Assert.False(data.AsSpan(0, 4096).ContainsAnyExcept((byte)7));
                }
            });
        }

        Shell.Run("qemu-img", "check", "-q", "-f", "qcow2", device.Path);
    }

    [Fact]
    public void A_full_device_is_ENOSPC_and_the_image_stays_sound()
    {
        using LoopDevice device = new(1 << 20);
        Shell.Run("qemu-img", "create", "-q", "-f", "qcow2", "-o", "cluster_size=4k", device.Path, "512M");
        using (Qcow2Target target = Qcow2Disk.Open(device.Path))
        {
            QueueHarness.Run(target, harness =>
            {
                byte[] data = new byte[4096];
                int[] results = [.. Enumerable.Range(0, 250).Select(
                    number => harness.Answer(QueueHarness.Describe(IoOperation.Write, number << 21, 4096), data))];
                Assert.Contains(Enospc, results);
                Assert.All(results, result => Assert.True(result is 4096 or Enospc, $"{result}"));
            });
        }

        Shell.Run("qemu-img", "check", "-q", "-f", "qcow2", device.Path);
    }

    [Fact]
    public void Operations_on_an_image_leave_the_device_its_length()
    {
        using LoopDevice device = new(8 << 20);
        Shell.Run("qemu-img", "create", "-q", "-f", "qcow2", device.Path, "4M");
        Shell.Run("qemu-io", "-f", "qcow2", "-c", "write -P 7 0 2M", "-c", "write -P 8 3M 512k", "-c", "discard 3M 512k", device.Path);
        new OptimizeImage { Path = device.Path }.Run(ImageProgress.None);
        new ResizeImage { Path = device.Path, Size = 2 << 20, Shrink = true }.Run(ImageProgress.None);
        Shell.Run("qemu-img", "check", "-q", "-f", "qcow2", device.Path);
        Shell.Run("qemu-io", "-f", "qcow2", "-c", "read -P 7 0 2M", device.Path);
        Assert.Equal(8 << 20, device.Size);
    }
}

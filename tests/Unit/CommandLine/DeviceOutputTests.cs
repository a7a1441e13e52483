using System.Text.Json;
using Ublk.CommandLine;
using Ublk.Control;
using Ublk.Devices;
using Ublk.Specification;

namespace Ublk.Tests.CommandLine;

/// <summary>Scripts for the reference server cut the output by words and columns, as these tests do.</summary>
public class DeviceOutputTests
{
    private static readonly UblkDevice s_disk = new()
    {
        Id = 4,
        Target = "Loop",
        Options = new Dictionary<string, string> { ["Path"] = "/tmp/a.img", ["Offset"] = "4096", ["DirectIO"] = "false" },
        BackingPath = "/tmp/a.img",
        Size = 1 << 20,
        LogicalBlockSize = 512,
        QueueCount = 2,
        QueueDepth = 64,
        MaxIoSize = 512 << 10,
        ProcessId = 4711,
        DriverState = DriverState.Live,
        OwnerIds = (0, 0),
        Flags = UblkFeatures.UringCmdCompInTask | UblkFeatures.UserRecovery | UblkFeatures.CmdIoctlEncode,
        CharDeviceNumber = "511:4",
        DeviceNumber = "259:8",
        Queues = [new QueueInfo(0, 4712, "0-2"), new QueueInfo(1, 4713, "3")],
        Recovery = RecoveryMode.Queue,
        WorkerVersion = EngineVersion.Text,
    };

    private static readonly string[] s_lines = Print(s_disk);

    [Fact]
    public void The_lines_are_those_of_the_reference_server() => Assert.Equal(
    [
        "dev id 4: nr_hw_queues 2 queue_depth 64 block size 512 dev_capacity 2048",
        "\tmax rq size 524288 daemon pid 4711 state LIVE",
        "\tflags 0x4a [ URING_CMD_COMP_IN_TASK RECOVERY CMD_IOCTL_ENCODE ]",
        "\tublkc: 511:4 ublkb: 259:8 owner: 0:0",
        "\tqueue 0: tid 4712 affinity(0 1 2 )",
        "\tqueue 1: tid 4713 affinity(3 )",
        "\ttarget {\"backing_file\":\"/tmp/a.img\",\"dev_size\":1048576,\"name\":\"loop\",\"offset\":8,\"direct_io\":0}",
    ],
        s_lines);

    [Theory]
    [InlineData("pid", 6, "4711")]
    [InlineData("state", 8, "LIVE")]
    [InlineData("queue 1", 3, "4713")]
    public void A_script_finds_a_value_in_its_column(string pattern, int column, string value) => Assert.Equal(value,
        Assert.Single(s_lines, line => line.Contains(pattern, StringComparison.Ordinal)).Split((char[]?)null,
            StringSplitOptions.RemoveEmptyEntries)[column]);

    [Theory]
    [InlineData((int)DriverState.Dead, "DEAD")]
    [InlineData((int)DriverState.Quiesced, "QUIESCED")]
    [InlineData((int)DriverState.FailIo, "FAIL_IO")]
    [InlineData(null, "UNKNOWN")]
    public void A_device_that_is_not_served_is_shown_in_its_state(int? state, string name) => Assert.Contains(
        $"\tmax rq size 0 daemon pid -1 state {name}", Print(new UblkDevice { Id = 0, DriverState = (DriverState?)state }));

    [Fact]
    public void A_device_of_another_server_has_no_target() =>
        Assert.DoesNotContain(Print(new UblkDevice { Id = 0 }), line => line.Contains("target", StringComparison.Ordinal));

    [Fact]
    public void A_worker_of_another_version_is_reported()
    {
        UblkDevice old = new() { Id = 0, Target = "Null", ProcessId = 1, WorkerVersion = "0.0.9" };
        Assert.Contains("\toutdated: the worker is of version 0.0.9", Print(old));
        using StringWriter output = new();
        DeviceJson.WriteAll(output, [old, s_disk]);
        using JsonDocument text = JsonDocument.Parse(output.ToString());
        Assert.Equal([true, false], text.RootElement.EnumerateArray().Select(device => device.GetProperty("outdated").GetBoolean()));
        Assert.Equal("0.0.9", text.RootElement[0].GetProperty("worker_version").GetString());
    }

    [Fact]
    public void The_json_has_the_names_of_the_reference_server()
    {
        using StringWriter output = new();
        DeviceJson.WriteAll(output, [s_disk, new UblkDevice { Id = 5 }]);
        using JsonDocument text = JsonDocument.Parse(output.ToString());

        JsonElement disk = text.RootElement[0];
        JsonElement info = disk.GetProperty("dev_info");
        Assert.Equal(4, info.GetProperty("dev_id").GetInt32());
        Assert.Equal(2, info.GetProperty("nr_hw_queues").GetInt32());
        Assert.Equal(64, info.GetProperty("queue_depth").GetInt32());
        Assert.Equal(512 << 10, info.GetProperty("max_io_buf_bytes").GetInt32());
        Assert.Equal(4711, info.GetProperty("ublksrv_pid").GetInt32());
        Assert.Equal(1, info.GetProperty("state").GetInt32());
        Assert.Equal(0x4a, info.GetProperty("flags").GetInt32());
        Assert.Equal(0, info.GetProperty("owner_uid").GetInt32());
        Assert.Equal("LIVE", disk.GetProperty("state").GetString());
        Assert.Equal(4713, disk.GetProperty("queues").GetProperty("1").GetProperty("tid").GetInt32());
        Assert.Equal("0 1 2", disk.GetProperty("queues").GetProperty("0").GetProperty("affinity").GetString());
        Assert.Equal("/tmp/a.img", disk.GetProperty("target").GetProperty("backing_file").GetString());
        Assert.Equal("queue", disk.GetProperty("recovery").GetString());
        Assert.Equal("/dev/ublkb5", text.RootElement[1].GetProperty("path").GetString());
    }

    [Fact]
    public void Features_are_listed_by_bit_under_the_names_of_the_reference_server()
    {
        using StringWriter output = new();
        FeaturesCommand.Write(output, UblkFeatures.SupportZeroCopy | UblkFeatures.UserRecoveryReissue | UblkFeatures.NoAutoPartScan
            | (UblkFeatures)(1UL << 40));
        Assert.Equal(
        [
            "ublk_drv features: 0x10000040011",
            "\tZERO_COPY           : 0x1",
            "\tRECOVERY_REISSUE    : 0x10",
            "\tNO_AUTO_PART_SCAN   : 0x40000",
            "\tunknown             : 0x10000000000",
        ],
            output.ToString().Split('\n', StringSplitOptions.RemoveEmptyEntries));
    }

    [Fact]
    public void The_cpus_of_one_queue_are_replaced()
    {
        UblkDevice disk = new()
        {
            Id = 0,
            Queues = [new QueueInfo(0, 1, "0"), new QueueInfo(0, 2, "1"), new QueueInfo(1, 3, "2"), new QueueInfo(1, 4, "3")],
        };
        Assert.Equal(["0-1", "5,7"], AffinityCommand.With(disk, 1, "[5,7]"));
        Assert.Equal(["4", "2-3"], AffinityCommand.With(disk, 0, "4"));
        Assert.Throws<UblkException>(() => AffinityCommand.With(disk, 2, "4"));
    }

    private static string[] Print(UblkDevice device)
    {
        using StringWriter output = new();
        DeviceText.Write(output, device);
        return output.ToString().Split('\n', StringSplitOptions.RemoveEmptyEntries);
    }
}

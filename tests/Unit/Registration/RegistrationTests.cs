using System.Runtime.InteropServices;
using Ublk.Registration;
using Ublk.Specification;

namespace Ublk.Tests.Registration;

/// <summary>What is written for a registered device.</summary>
public class RegistrationTests
{
    private static readonly UblkRegistration Data = new() { Name = "data" };

    [Fact]
    public void A_unit_runs_the_worker_once_what_it_needs_is_mounted()
    {
        string unit = RegistrationText.Unit(Data, Loop("/images/a.img"), ["/opt/Ublk/ublk-worker"]);
        string[] lines = unit.Split('\n');
        Assert.Contains("ExecStart=/opt/Ublk/ublk-worker attach /etc/ublk/data.json", lines);
        Assert.Contains("RequiresMountsFor=/opt/Ublk/ublk-worker /etc/ublk/data.json /images/a.img", lines);
        Assert.Contains("After=modprobe@ublk_drv.service systemd-remount-fs.service", lines);
        Assert.DoesNotContain(lines, line => line.StartsWith("Requires=", StringComparison.Ordinal));
        Assert.Equal(["[Unit]", "[Service]", "[Install]"], lines.Where(line => line.StartsWith('[')));
    }

    [Fact]
    public void A_unit_of_a_disk_elsewhere_waits_for_the_network()
    {
        DeviceSpecification specification =
            new() { Target = "nbd", Options = new Dictionary<string, string> { ["Uri"] = "nbd://host/disk" } };
        string[] lines = RegistrationText.Unit(Data, specification, ["worker"]).Split('\n');
        Assert.Contains("Wants=modprobe@ublk_drv.service network-online.target", lines);
        Assert.Contains("After=modprobe@ublk_drv.service systemd-remount-fs.service network-online.target", lines);
    }

    [Fact]
    public void A_unit_may_do_what_a_worker_may()
    {
        string[] lines = RegistrationText.Unit(Data, Loop("/images/a.img"), ["worker"]).Split('\n');
        Assert.Contains("NoNewPrivileges=yes", lines);
        Assert.Contains("CapabilityBoundingSet=CAP_DAC_OVERRIDE CAP_IPC_LOCK CAP_SYS_ADMIN CAP_SYS_RESOURCE", lines);
    }

    [Fact]
    public void A_unit_that_is_killed_leaves_the_worker_and_one_that_opens_long_is_not_given_up()
    {
        string[] lines = RegistrationText.Unit(Data, Loop("/images/a.img"), ["worker"]).Split('\n');
        Assert.Contains("KillMode=process", lines);
        Assert.Contains("TimeoutStartSec=infinity", lines);
    }

    [Fact]
    public void What_others_can_change_is_not_run_at_boot()
    {
        // Beneath a folder that nobody else can write.
        DirectoryInfo folder = Directory.CreateDirectory($"/var/tmp/ublk-workers-{Guid.NewGuid():N}");
        try
        {
            string platform = Directory.CreateDirectory(
                $"{folder}/linux-{RuntimeInformation.ProcessArchitecture.ToString().ToLowerInvariant()}").FullName;
            File.WriteAllBytes($"{platform}/ublk-worker", []);
            File.SetUnixFileMode($"{platform}/ublk-worker", (UnixFileMode)0b111_111_111);
            Assert.Equal(UblkError.PluginNotTrusted,
                Assert.Throws<UblkException>(() => DeviceRegistrar.Register("x", Loop("/a"), folder.FullName)).Error);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    [Fact]
    public void A_unit_waits_for_the_device_behind_it()
    {
        string[] lines = RegistrationText.Unit(Data, Loop("/dev/disk/by-id/a"), ["worker"]).Split('\n');
        Assert.Contains(@"Requires=dev-disk-by\x2did-a.device", lines);
        Assert.Contains(@"After=modprobe@ublk_drv.service systemd-remount-fs.service dev-disk-by\x2did-a.device", lines);
        Assert.Contains("RequiresMountsFor=/etc/ublk/data.json", lines);
    }

    [Fact]
    public void A_unit_waits_for_the_files_of_the_filters_too()
    {
        DeviceSpecification specification = Loop("/images/a.img") with
        {
            Filters =
            [
                new UblkFilter("Overlay", new Dictionary<string, string> { ["Overlay"] = "/overlays/a.cow" }),
                new UblkFilter("Delay", new Dictionary<string, string> { ["Delay"] = "5" }),
                new UblkFilter("Overlay", new Dictionary<string, string> { ["overlay"] = "/more/b.cow" }),
            ],
        };
        Assert.Equal("/w /etc/ublk/data.json /images/a.img /overlays/a.cow /more/b.cow", MountsFor(specification));
    }

    [Fact]
    public void A_unit_waits_for_the_chain_behind_an_image_and_for_what_links_lead_to()
    {
        DirectoryInfo folder = Directory.CreateTempSubdirectory("ublk-test-");
        try
        {
            Directory.CreateDirectory($"{folder}/real");
            Directory.CreateSymbolicLink($"{folder}/link", $"{folder}/real");
            Shell.Run("qemu-img", "create", "-q", "-f", "raw", $"{folder}/base", "1M");
            Shell.Run("qemu-img", "create", "-q", "-f", "qcow2", "-b", $"{folder}/base", "-F", "raw", $"{folder}/middle");
            Shell.Run("qemu-img", "create", "-q", "-f", "qcow2", "-b", "../middle", "-F", "qcow2", $"{folder}/real/top");
            DeviceSpecification specification =
                new() { Target = "Qcow2", Options = new Dictionary<string, string> { ["Path"] = $"{folder}/link/top" } };
            Assert.Equal(
                $"/w /etc/ublk/data.json {folder}/link/top {folder}/real/top {folder}/middle {folder}/base", MountsFor(specification));
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    [Theory]
    [InlineData("/a b.img", "\"/a b.img\"")]
    [InlineData("/100%.img", "/100%%.img")]
    [InlineData("/\"a\\'.img", "\"/\\\"a\\\\'.img\"")]
    [InlineData("/#;.img", "\"/#;.img\"")]
    [InlineData("/ü.img", "/ü.img")]
    [InlineData("/$HOME.img", "/$HOME.img")]
    public void A_path_is_written_as_systemd_reads_it(string path, string written) => Assert.EndsWith(
        $" {written}",
        RegistrationText.Unit(Data, Loop(path), ["/w"]).Split('\n')
            .Single(line => line.StartsWith("RequiresMountsFor=", StringComparison.Ordinal)),
        StringComparison.Ordinal);

    [Fact]
    public void A_dollar_in_a_command_is_no_variable() => Assert.Contains(
        "\nExecStart=/opt/$$a/dotnet /opt/$$a/ublk-worker.dll attach /etc/ublk/data.json\n",
        RegistrationText.Unit(Data, Loop("/a"), ["/opt/$a/dotnet", "/opt/$a/ublk-worker.dll"]), StringComparison.Ordinal);

    [Fact]
    public void A_path_of_two_lines_is_refused() => Assert.Equal(
        UblkError.InvalidArgument,
        Assert.Throws<UblkException>(() => RegistrationText.Unit(Data, Loop("/a\nExecStart=/b"), ["/w"])).Error);

    [Theory]
    [InlineData("/dev/sda", "dev-sda.device")]
    [InlineData("/dev/disk/by-uuid/1-2", @"dev-disk-by\x2duuid-1\x2d2.device")]
    [InlineData("/dev/a b.ü", @"dev-a\x20b.\xc3\xbc.device")]
    public void A_device_has_the_unit_that_systemd_gives_it(string path, string unit) =>
        Assert.Equal(unit, RegistrationText.DeviceUnit(path));

    [Fact]
    public void The_rule_asks_for_the_record_with_the_name()
    {
        string rule = RegistrationText.Rule(Data);
        Assert.Contains("""PROGRAM="/bin/grep -qF '\"DeviceName\":\"data\"' /run/ublk/%n.json",""", rule, StringComparison.Ordinal);
        Assert.Contains("""ENV{DEVTYPE}=="disk",""", rule, StringComparison.Ordinal);
        Assert.Contains("SYMLINK+=\"disk/by-ublk/data\"\n", rule, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("data")]
    [InlineData("_")]
    [InlineData("0a.b-c_D")]
    public void A_name_is_letters_digits_and_a_few_signs(string name) => DeviceRegistrar.CheckName(name);

    [Theory]
    [InlineData("")]
    [InlineData(".a")]
    [InlineData("-a")]
    [InlineData("a/b")]
    [InlineData("a b")]
    [InlineData("a@b")]
    [InlineData("a%b")]
    [InlineData("ü")]
    [InlineData("a\n")]
    [InlineData("01234567890123456789012345678901234567890123456789012345678901234")]
    public void No_other_name_is_taken(string name) => Assert.Equal(
        UblkError.InvalidArgument, Assert.Throws<UblkException>(() => DeviceRegistrar.CheckName(name)).Error);

    [Fact]
    public void A_specification_is_read_as_it_was_written()
    {
        DeviceSpecification specification =
            Loop("/images/a.img") with { QueueCount = 2, QueueAffinity = ["0", "1"], Recovery = RecoveryMode.Reissue };
        using TemporaryFile file = new(0);
        File.WriteAllText(file.Path, DeviceRegistrar.Serialize(specification));
        DeviceSpecification read = DeviceRegistrar.Read(file.Path);
        Assert.Equal(Path.GetFileNameWithoutExtension(file.Path), read.Name);
        Assert.Equal(DeviceRegistrar.Serialize(specification), DeviceRegistrar.Serialize(read with { Name = null }));
        Assert.Equal((specification.Recovery, specification.Options["Path"]), (read.Recovery, read.Options["Path"]));
        Assert.Contains("\"Reissue\"", DeviceRegistrar.Serialize(specification), StringComparison.Ordinal);
    }

    [Fact]
    public void A_specification_by_hand_needs_no_more_than_a_target()
    {
        using TemporaryFile file = new(0);
        File.WriteAllText(file.Path, """{ "Target": "Null" }""");
        Assert.Equal(new DeviceSpecification { Target = "Null" }.QueueDepth, DeviceRegistrar.Read(file.Path).QueueDepth);
    }

    [Theory]
    [InlineData("")]
    [InlineData("null")]
    [InlineData("{}")]
    [InlineData("""{ "Target": "Loop", "QueueCount": "many" }""")]
    [InlineData("""{ "Target": "Lop" }""")]
    public void A_file_that_is_no_specification_is_named(string text)
    {
        using TemporaryFile file = new(0);
        File.WriteAllText(file.Path, text);
        Assert.Contains(file.Path, Assert.Throws<UblkException>(() => DeviceRegistrar.Read(file.Path)).Message, StringComparison.Ordinal);
    }

    private static string MountsFor(DeviceSpecification specification)
    {
        const string key = "RequiresMountsFor=";
        return RegistrationText.Unit(Data, specification, ["/w"]).Split('\n')
            .Single(line => line.StartsWith(key, StringComparison.Ordinal))[key.Length..];
    }

    private static DeviceSpecification Loop(string path) =>
        new() { Target = "Loop", Options = new Dictionary<string, string> { ["Path"] = path } };
}

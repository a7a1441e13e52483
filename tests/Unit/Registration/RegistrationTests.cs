using System.Runtime.InteropServices;
using Ublk.Registration;
using Ublk.Specification;
using Ublk.Workers;

namespace Ublk.Tests.Registration;

/// <summary>What is written for a registered device.</summary>
public class RegistrationTests
{
    private static readonly UblkRegistration Data = new() { Name = "data" };

    private static readonly string Template =
        File.ReadAllText(Path.Combine(Repository.Root, "src/Ublk.PowerShell/Module/systemd/ublk@.service"));

    [Fact]
    public void The_template_runs_the_worker_at_a_place_without_a_version()
    {
        string[] lines = Template.Split('\n');
        Assert.Contains("ExecStart=/usr/lib/ublk/ublk-worker attach /etc/ublk/%i.json", lines);
        Assert.Contains("RequiresMountsFor=/usr/lib/ublk/ublk-worker /etc/ublk/%i.json", lines);
        Assert.Equal("/usr/lib/ublk/ublk-worker", UnitTemplate.Worker);
        Assert.Equal("/etc/ublk/data.json", Data.SpecificationPath);
        Assert.Equal(["[Unit]", "[Service]", "[Install]"], lines.Where(line => line.StartsWith('[')));
    }

    [Fact]
    public void The_template_lets_a_worker_do_what_it_may_elsewhere() => Assert.All(WorkerPrivileges.UnitSettings,
        setting => Assert.Contains($"\n{setting}\n", Template, StringComparison.Ordinal));

    [Fact]
    public void A_copy_of_the_template_waits_for_the_module_too()
    {
        DirectoryInfo module = Directory.CreateTempSubdirectory("ublk test ");
        try
        {
            Directory.CreateDirectory($"{module}/worker");
            Directory.CreateDirectory($"{module}/systemd");
            File.WriteAllText($"{module}/systemd/ublk@.service", Template);
            string[] lines = UnitTemplate.TextFor($"{module}/worker").Split('\n');
            Assert.Contains($"RequiresMountsFor=\"{module}/worker\" /usr/lib/ublk/ublk-worker /etc/ublk/%i.json", lines);
            Assert.Equal(Template.Split('\n').Length + 1, lines.Length);
        }
        finally
        {
            module.Delete(recursive: true);
        }
    }

    [Fact]
    public void A_disk_that_needs_nothing_has_no_more_than_the_template() =>
        Assert.Null(RegistrationText.DropIn(Data, new() { Target = "Null" }, [UnitTemplate.Worker]));

    [Fact]
    public void A_disk_with_a_file_waits_until_it_is_mounted() => Assert.Equal(
        "# Made by Register-UblkDevice. Unregister-UblkDevice removes it.\n[Unit]\nRequiresMountsFor=/images/a.img\n",
        RegistrationText.DropIn(Data, Loop("/images/a.img"), [UnitTemplate.Worker]));

    [Fact]
    public void A_disk_elsewhere_waits_for_the_network()
    {
        DeviceSpecification specification =
            new() { Target = "nbd", Options = new Dictionary<string, string> { ["Uri"] = "nbd://host/disk" } };
        Assert.Equal(["[Unit]", "Wants=network-online.target", "After=network-online.target", ""], Lines(specification)[1..]);
    }

    [Fact]
    public void A_disk_in_a_Ceph_cluster_waits_for_the_network_and_for_the_files_of_its_client()
    {
        DeviceSpecification specification = new()
        {
            Target = "Rbd",
            Options = new Dictionary<string, string>
            {
                ["Spec"] = "rbd/disk", ["ConfigPath"] = "/images/ceph.conf", ["KeyringPath"] = "/images/web.keyring",
            },
        };
        Assert.Equal(
        [
            "[Unit]", "Wants=network-online.target", "After=network-online.target",
            "RequiresMountsFor=/images/ceph.conf /images/web.keyring", "",
        ],
            Lines(specification)[1..]);
    }

    [Fact]
    public void A_worker_that_is_not_the_templates_replaces_it()
    {
        string[] lines = RegistrationText.DropIn(Data, new() { Target = "Null" }, ["/usr/bin/dotnet", "/usr/lib/ublk/w.dll"])!.Split('\n');
        Assert.Equal(
        [
            "[Unit]", "RequiresMountsFor=/usr/bin/dotnet /usr/lib/ublk/w.dll", "", "[Service]", "ExecStart=",
            "ExecStart=/usr/bin/dotnet /usr/lib/ublk/w.dll attach /etc/ublk/data.json", "",
        ],
            lines[1..]);
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
        string[] lines = Lines(Loop("/dev/disk/by-id/a"));
        Assert.Equal(["[Unit]", @"After=dev-disk-by\x2did-a.device", @"Requires=dev-disk-by\x2did-a.device", ""], lines[1..]);
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
        Assert.Equal("/images/a.img /overlays/a.cow /more/b.cow", MountsFor(specification));
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
                $"{folder}/link/top {folder}/real/top {folder}/middle {folder}/base", MountsFor(specification));
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
        $" {MountsFor(Loop(path))}",
        StringComparison.Ordinal);

    [Fact]
    public void A_dollar_in_a_command_is_no_variable() => Assert.Contains(
        "\nExecStart=/opt/$$a/dotnet /opt/$$a/ublk-worker.dll attach /etc/ublk/data.json\n",
        RegistrationText.DropIn(Data, Loop("/a"), ["/opt/$a/dotnet", "/opt/$a/ublk-worker.dll"]), StringComparison.Ordinal);

    [Fact]
    public void A_path_of_two_lines_is_refused() => Assert.Equal(
        UblkError.InvalidArgument,
        Assert.Throws<UblkException>(() => Lines(Loop("/a\nExecStart=/b"))).Error);

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
        return Lines(specification).Single(line => line.StartsWith(key, StringComparison.Ordinal))[key.Length..];
    }

    private static string[] Lines(DeviceSpecification specification) =>
        RegistrationText.DropIn(Data, specification, [UnitTemplate.Worker])!.Split('\n');

    private static DeviceSpecification Loop(string path) =>
        new() { Target = "Loop", Options = new Dictionary<string, string> { ["Path"] = path } };
}

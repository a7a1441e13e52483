using System.CommandLine;
using Ublk.CommandLine;
using Ublk.Specification;

namespace Ublk.Tests.CommandLine;

public class AddArgumentsTests
{
    [Fact]
    public void The_options_of_the_reference_server_describe_the_device()
    {
        DeviceSpecification disk = Read(
            "-t loop -n 3 -q 2 -d 64 -u 1 -g 0 -r 1 -i 1 --usercopy --max_io_buf_bytes 64K -f /tmp/a.img --buffered_io -o 8");

        Assert.Equal("Loop", disk.Target);
        Assert.Equal(3, disk.Id);
        Assert.Equal(2, disk.QueueCount);
        Assert.Equal(64, disk.QueueDepth);
        Assert.Equal(RecoveryMode.Reissue, disk.Recovery);
        Assert.Equal(BufferMode.UserCopy, disk.BufferMode);
        Assert.Equal(64 << 10, disk.MaxIoSize);
        Assert.Equal(
            new Dictionary<string, string> { ["Path"] = "/tmp/a.img", ["Offset"] = "4096", ["DirectIO"] = "false" }, disk.Options);
    }

    [Fact]
    public void The_engine_has_the_defaults()
    {
        DeviceSpecification disk = Read("-t null --unprivileged");

        Assert.Equal(new DeviceSpecification { Target = "Null", Unprivileged = true } with { Options = disk.Options }, disk with
        {
            QueueAffinity = new DeviceSpecification { Target = "" }.QueueAffinity,
            Filters = new DeviceSpecification { Target = "" }.Filters,
        });
        Assert.Empty(disk.Options);
        Assert.Empty(disk.QueueAffinity);
    }

    [Theory]
    [InlineData("", RecoveryMode.None)]
    [InlineData("-r 0 -i 0 -e 0", RecoveryMode.None)]
    [InlineData("-r 1", RecoveryMode.Queue)]
    [InlineData("-i 1", RecoveryMode.Reissue)]
    [InlineData("-r1 -e1", RecoveryMode.Fail)]
    [InlineData("--user_recovery 1 --user_recovery_fail_io=1", RecoveryMode.Fail)]
    [InlineData("--auto_restart", RecoveryMode.Reissue)]
    [InlineData("--auto_restart -r 1", RecoveryMode.Queue)]
    public void Recovery_follows_from_three_options(string options, RecoveryMode expected) =>
        Assert.Equal(expected, Read($"-t null {options}").Recovery);

    [Theory]
    [InlineData("", WriteCache.Back)]
    [InlineData("--write_cache back", WriteCache.Back)]
    [InlineData("--write_cache through", WriteCache.Through)]
    public void The_write_cache_is_named(string options, WriteCache expected) =>
        Assert.Equal(expected, Read($"-t null {options}").WriteCache);

    [Theory]
    [InlineData("", BufferMode.Auto)]
    [InlineData("-g 0", BufferMode.Auto)]
    [InlineData("-g 1", BufferMode.UserCopy)]
    [InlineData("--usercopy", BufferMode.UserCopy)]
    [InlineData("-z", BufferMode.ZeroCopy)]
    public void The_way_of_the_data_follows_from_three_options(string options, BufferMode expected) =>
        Assert.Equal(expected, Read($"-t null {options}").BufferMode);

    [Theory]
    [InlineData("--size 64M", "Size", "67108864")]
    [InlineData("-s 512", "Size", "512")]
    public void A_size_may_have_a_unit(string options, string name, string value) =>
        Assert.Equal(value, Read($"-t null {options}").Options[name]);

    [Theory]
    [InlineData("-f a.qcow2", "Qcow2")]
    [InlineData("-f a.img", "Loop")]
    [InlineData("-t QCOW2 -f a.img --no_backing --key_file k", "Qcow2")]
    public void The_target_follows_from_the_name_of_the_file(string options, string target) =>
        Assert.Equal(target, Read(options).Target);

    [Fact]
    public void A_relative_path_is_made_absolute() =>
        Assert.Equal(Path.GetFullPath("k"), Read("-t qcow2 -f a.img --key_file k").Options["KeyFile"]);

    [Theory]
    [InlineData("--no_backing", "true")]
    [InlineData("--no_backing 0", "false")]
    [InlineData("--no_backing true", "true")]
    public void A_switch_may_have_a_value(string option, string value) =>
        Assert.Equal(value, Read($"-t qcow2 -f a {option}").Options["NoBacking"]);

    [Theory]
    [InlineData("--host 127.0.0.1", "nbd://127.0.0.1/")]
    [InlineData("--host ::1 --port 10810 --export_name a/b", "nbd://[::1]:10810/a%2Fb")]
    [InlineData("--unix /run/n.sock --export_name x", "nbd+unix:///x?socket=%2Frun%2Fn.sock")]
    [InlineData("--uri nbd://h/e", "nbd://h/e")]
    public void An_export_is_named_as_with_the_reference_server_or_by_a_uri(string options, string uri) =>
        Assert.Equal(uri, Read($"-t nbd {options}").Options["Uri"]);

    [Theory]
    [InlineData("nbdkit memory 64M")]
    [InlineData("[\"nbdkit\",\"memory\",\"64M\"]")]
    public void A_program_is_given_as_words_or_as_json(string command) => Assert.Equal("[\"nbdkit\",\"memory\",\"64M\"]",
        DeviceArguments.Read(UblkProgram.Root.Parse(["add", "-t", "nbd", "--command", command])).Options["Command"]);

    [Theory]
    [InlineData("-b", "'-b'")]
    [InlineData("--batch-io", "'--batch-io'")]
    [InlineData("--debug_mask 0x1", "'--debug_mask'")]
    [InlineData("--debug_mask=0x1", "'--debug_mask'")]
    [InlineData("--shmem_zc", "'--shmem_zc'")]
    [InlineData("--htlb /huge", "'--htlb'")]
    [InlineData("--rdonly_shmem_buf", "'--rdonly_shmem_buf'")]
    [InlineData("--send_zc", "'--send_zc'")]
    [InlineData("--no_such_option", "'--no_such_option'")]
    [InlineData("-u 2", "'2'")]
    [InlineData("-q two", "'two' is not a valid number for --queues")]
    [InlineData("-i 1 -e 1", "-i 1 and -e 1 exclude")]
    [InlineData("-z -g 1", "-z excludes")]
    [InlineData("-f a.img", "Null target has no option Path")]
    [InlineData("-s 1X", "'1X' is not a valid size for --size")]
    [InlineData("--host h --unix s", "--host, --unix and --uri")]
    [InlineData("--unix s --port 1", "--port needs --host")]
    [InlineData("--buffered_io --direct_io", "--buffered_io and --direct_io exclude")]
    [InlineData("-q 0", "QueueCount must be from 1")]
    public void What_means_nothing_is_refused_by_name(string options, string complaint)
    {
        CommandRun run = CommandRun.Of(["add", "-t", "null", .. Words(options)]);
        Assert.Equal(2, run.ExitCode);
        Assert.StartsWith("ublk: ", run.Error, StringComparison.Ordinal);
        Assert.Contains(complaint, run.Error, StringComparison.Ordinal);
        Assert.Empty(run.Output);
    }

    [Theory]
    [InlineData("-t nfs", "no target named 'nfs'")]
    [InlineData("", "Name a target or a file")]
    [InlineData("-t loop", "needs a Path")]
    public void A_target_that_is_missing_or_unknown_is_refused(string options, string complaint)
    {
        CommandRun run = CommandRun.Of(["add", .. Words(options)]);
        Assert.Equal(2, run.ExitCode);
        Assert.Contains(complaint, run.Error, StringComparison.Ordinal);
    }

    [Fact]
    public void A_raw_disk_that_holds_an_image_is_refused_unless_it_is_meant()
    {
        using TemporaryFile file = new(0);
        File.WriteAllBytes(file.Path, [.. "QFI"u8, 0xFB, 0, 0, 0, 3, .. new byte[504]]);

        CommandRun run = CommandRun.Of("add", "-t", "loop", "-f", file.Path);
        Assert.Equal(1, run.ExitCode);
        Assert.Contains("-t qcow2", run.Error, StringComparison.Ordinal);
        Assert.Equal("Raw", Read($"-t loop -f {file.Path} --format Raw").Options["Format"]);
        Assert.Equal("512", Read($"-t loop -f {file.Path} -o 1").Options["Offset"]);
    }

    [Fact]
    public void No_two_options_have_the_same_name()
    {
        Command add = UblkProgram.Root.Subcommands.Single(command => command.Name == "add");
        string[] names = [.. add.Options.SelectMany(option => option.Aliases.Prepend(option.Name))];
        Assert.Equal(names.Distinct(), names);
    }

    private static DeviceSpecification Read(string options) =>
        DeviceArguments.Read(UblkProgram.Root.Parse(["add", .. Words(options)])) with { Unprivileged = true };

    private static string[] Words(string options) => options.Split(' ', StringSplitOptions.RemoveEmptyEntries);
}

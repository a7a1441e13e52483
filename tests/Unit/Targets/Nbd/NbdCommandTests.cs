using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using Ublk.Interop;
using Ublk.Io;
using Ublk.Targets;
using Ublk.Targets.Nbd;
using Ublk.Tests.Serving;
using Ublk.Workers;

namespace Ublk.Tests.Targets.Nbd;

/// <summary>Servers that the disk itself starts.</summary>
public class NbdCommandTests
{
    private const int Block = 4096;

    private readonly ConcurrentQueue<string> _log = new();

    [Fact]
    public void A_server_starts_and_ends_with_its_disk()
    {
        byte[] data = [.. Enumerable.Repeat((byte)5, Block)];
        int server;
        using (NbdTarget target = Open(["nbdkit", "--verbose", "memory", "1M"]))
        {
            Assert.Equal("nbdkit --verbose memory 1M", target.BackingPath);
            TargetClient client = new(target);
            client.Write(Block, data);
            Assert.Equal([.. new byte[Block], .. data], client.Read(0, 2 * Block));
            server = Children().Single(
                child => NameOf(child) == "nbdkit" && CommandOf(child).Contains("--verbose", StringComparison.Ordinal));
        }

        Assert.False(Directory.Exists($"/proc/{server}"));
        Assert.Contains(_log, line => line.StartsWith("nbdkit: ", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("vhdx")]
    [InlineData("vmdk")]
    [InlineData("vdi")]
    public void An_image_of_a_format_that_qemu_knows_is_a_disk(string format)
    {
        using TemporaryFile raw = new(1 << 20);
        using TemporaryFile image = new(0);
        byte[] data = new byte[1 << 20];
        new Random(1).NextBytes(data);
        File.WriteAllBytes(raw.Path, data);
        Shell.Run("qemu-img", "convert", "-f", "raw", "-O", format, raw.Path, image.Path);
        using (NbdTarget target = Open(["qemu-nbd", $"--format={format}", image.Path]))
        {
            Assert.Equal(data, new TargetClient(target).Read(0, 1 << 20));
            new TargetClient(target).Write(Block, new byte[Block]);
        }

        data.AsSpan(Block, Block).Clear();
        Shell.Run("qemu-img", "convert", "-f", format, "-O", "raw", image.Path, raw.Path);
        Assert.Equal(data, File.ReadAllBytes(raw.Path));
    }

    [Fact]
    public void A_server_serves_several_connections()
    {
        using NbdTarget target = Open(["nbdkit", "memory", "1M"], threads: 3);
        Assert.Equal(3, target.Files.Count);
    }

    [Fact]
    public void What_a_server_says_that_ends_at_once_reaches_the_user()
    {
        UblkException failure = Assert.Throws<UblkException>(() => Open(["nbdkit", "no-such-plugin"]));
        Assert.Equal(UblkError.ConnectionFailed, failure.Error);
        Assert.Contains("Its message: ", failure.Message, StringComparison.Ordinal);
        Assert.Contains("no-such-plugin-plugin.so", failure.Message, StringComparison.Ordinal);
        Assert.DoesNotContain(Children(), child => NameOf(child) == "nbdkit" && CommandOf(child).Contains("no-such-plugin"));
    }

    [Fact]
    public void Only_its_user_reaches_a_server()
    {
        using NbdServerProcess server = NbdServerProcess.Start(
            [.. BuiltWorker.Command, WorkerArguments.Companion], ["nbdkit", "memory", "1M"], _log.Enqueue);
        Assert.Equal((UnixFileMode)0b111_000_000, File.GetUnixFileMode(Path.GetDirectoryName(server.SocketPath)!));
    }

    [Theory]
    [InlineData(UblkError.PathNotFound, "no-such-program")]
    [InlineData(UblkError.PathNotFound, "/no/such/program")]
    [InlineData(UblkError.InvalidArgument, "./nbdkit")]
    [InlineData(UblkError.ConnectionFailed, "true")]
    [InlineData(UblkError.ConnectionFailed, "/etc/passwd")]
    public void A_program_that_cannot_serve_is_refused(UblkError error, string program) =>
        Assert.Equal(error, Assert.Throws<UblkException>(() => Open([program])).Error);

    [Fact]
    public void A_program_that_others_can_change_is_not_run()
    {
        using TemporaryFile file = new(0);
        File.SetUnixFileMode(file.Path, (UnixFileMode)0b111_111_111);
        Assert.Equal(UblkError.PluginNotTrusted, Assert.Throws<UblkException>(() => Open([file.Path])).Error);
    }

    [Fact]
    public void There_is_either_a_server_or_a_command()
    {
        foreach ((string, string)[] options in new (string, string)[][]
            {
                [],
                [("Uri", "nbd://localhost"), ("Command", CommandText.Format(["nbdkit", "memory", "1M"]))],
                [("TlsCertificates", "/"), ("Command", CommandText.Format(["nbdkit", "memory", "1M"]))],
            })
        {
            UblkException refused = Assert.Throws<UblkException>(() => NbdServer.OpenWith(1, readOnly: false, log: null, options));
            Assert.Equal(UblkError.InvalidArgument, refused.Error);
        }
    }

    [Fact]
    public void A_server_that_is_killed_ends_the_disk()
    {
        using NbdTarget target = Open(["nbdkit", "memory", "1111K"]);
        Kill("1111K");
        Assert.Equal(Libc.ENOLINK, Assert.Throws<UblkException>(() => new TargetClient(target).Read(0, Block)).Errno);
    }

    [Fact]
    public void A_server_that_is_killed_is_started_again_and_does_what_was_under_way()
    {
        using TemporaryFile file = new(1 << 20);
        using NbdTarget target = Open(
            ["nbdkit", "--filter=delay", "file", file.Path, "delay-write=500ms"], options: ("ReconnectTimeout", "30"));
        QueueHarness.Run(target, harness =>
        {
            IoTask<int> write = harness.Start(1, QueueHarness.Describe(IoOperation.Write, 0, Block));
            harness.TurnFor(TimeSpan.FromMilliseconds(50));
            Kill(file.Path);
            Assert.Equal(Block, harness.AnswerOf(write));
        });
        Assert.Equal((1, 0), (target.Counters[0].Value, target.Counters[2].Value));
    }

    [Fact]
    public void What_a_server_has_started_ends_with_it()
    {
        using (Open(["sh", "-c", "sleep 98765 & exec nbdkit memory 1M"]))
        {
            Assert.Contains(Processes(), process => CommandOf(process) == "sleep 98765");
        }

        Assert.True(SpinWait.SpinUntil(
            () => !Processes().Any(process => CommandOf(process) == "sleep 98765"), TimeSpan.FromSeconds(20)));
    }

    [Fact]
    public void A_server_ends_with_a_process_that_is_killed()
    {
        string[] companion = [.. BuiltWorker.Command, WorkerArguments.Companion];
        using Process parent = Process.Start("sh", ["-c", "\"$@\" $$ /bin/sleep sleep 87654 & wait", "sh", .. companion]);
        Assert.True(SpinWait.SpinUntil(() => Processes().Any(process => CommandOf(process) == "sleep 87654"), TimeSpan.FromSeconds(20)));
        parent.Kill();
        Assert.True(SpinWait.SpinUntil(
            () => !Processes().Any(process => CommandOf(process) == "sleep 87654"), TimeSpan.FromSeconds(20)));
    }

    [Fact]
    public void The_text_of_a_command_is_an_array_of_words()
    {
        string[] words = ["nbdkit", "a b", "", "\"'\\ü\n"];
        Assert.Equal(words, CommandText.TryParse(CommandText.Format(words)));
        Assert.All(["", "nbdkit", "{}", "[1]", "[\"a\"", "null"], text => Assert.Null(CommandText.TryParse(text)));
    }

    private NbdTarget Open(
        string[] command, int threads = 1, params IEnumerable<(string Name, string Value)> options) =>
        NbdServer.OpenWith(threads, readOnly: false, _log.Enqueue, [.. options, ("Command", CommandText.Format(command))]);

    private static void Kill(string word)
    {
        int server = Children().Single(child => NameOf(child) == "nbdkit" && CommandOf(child).Contains(word, StringComparison.Ordinal));
        Assert.Equal(0, Libc.Kill(server, Libc.SIGKILL));
    }

    private static IEnumerable<int> Children() => Processes().Where(process => Read(process, "status").Contains(
        $"\nPPid:\t{Environment.ProcessId}\n", StringComparison.Ordinal));

    private static IEnumerable<int> Processes() => Directory.GetDirectories("/proc").Select(Path.GetFileName)
        .Where(name => int.TryParse(name, out _)).Select(name => int.Parse(name!, CultureInfo.InvariantCulture));

    private static string NameOf(int process) => Read(process, "comm").Trim();

    private static string CommandOf(int process) => Read(process, "cmdline").TrimEnd('\0').Replace('\0', ' ');

    private static string Read(int process, string file)
    {
        try
        {
            return File.ReadAllText($"/proc/{process}/{file}");
        }
        catch (IOException)
        {
            return "";
        }
    }
}

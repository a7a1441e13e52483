using System.CommandLine;
using Ublk.Catalog;
using Ublk.CommandLine;

namespace Ublk.Tests.CommandLine;

public class UblkProgramTests
{
    private static readonly string s_manual = File.ReadAllText(Path.Combine(Repository.Root, "docs/man/ublk.8"));

    public static TheoryData<string> Targets => [.. TargetCatalog.All.Select(target => target.Name)];

    [Theory]
    [InlineData("")]
    [InlineData("mount")]
    [InlineData("del")]
    [InlineData("del -n 1 -a")]
    [InlineData("del -n one")]
    [InlineData("update")]
    [InlineData("list -n -unknown")]
    [InlineData("recover")]
    [InlineData("set_affinity -n 0 -q 0")]
    [InlineData("list --no_such_option")]
    public void A_command_line_that_makes_no_sense_is_refused(string line)
    {
        CommandRun run = CommandRun.Of(line.Split(' ', StringSplitOptions.RemoveEmptyEntries));
        Assert.Equal(2, run.ExitCode);
        Assert.StartsWith("ublk: ", run.Error, StringComparison.Ordinal);
        Assert.Empty(run.Output);
    }

    [Theory]
    [InlineData("-v")]
    [InlineData("--version")]
    public void The_version_is_shown(string option) => Assert.Equal($"ublk {EngineVersion.Text}\n", CommandRun.Of(option).Output);

    [Fact]
    public void Help_names_the_verbs_and_the_targets()
    {
        CommandRun run = CommandRun.Of("help");
        Assert.Equal(0, run.ExitCode);
        IEnumerable<string> targets = TargetCatalog.All.Select(target => target.Name.ToLowerInvariant());
        Assert.All(UblkProgram.Root.Subcommands.Select(command => command.Name).Concat(targets),
            word => Assert.Contains($"  {word} ", run.Output, StringComparison.Ordinal));
    }

    [Theory]
    [MemberData(nameof(Targets))]
    public void Help_of_a_target_has_each_of_its_options(string name)
    {
        CommandRun run = CommandRun.Of("help", "-t", name.ToLowerInvariant());
        Assert.Equal(0, run.ExitCode);
        Assert.All(TargetCatalog.Find(name).Options, option =>
        {
            Assert.Contains($"  --{TargetArgument.NameOf(option.Name)}", run.Output, StringComparison.Ordinal);
            Assert.Contains(TargetArgument.DescriptionOf(option), run.Output, StringComparison.Ordinal);
        });
        Assert.DoesNotMatch(@" -[A-Z]", run.Output);
    }

    [Theory]
    [InlineData("ublk ", "set_affinity")]
    [InlineData("ublk add -t q", "qcow2")]
    [InlineData("ublk add --user_rec", "--user_recovery_reissue")]
    [InlineData("ublk add -t qcow2 --discard u", "unmap")]
    public void The_shell_completes_what_the_command_knows(string line, string word) =>
        Assert.Contains(word, CommandRun.Of($"[suggest:{line.Length}]", line).Output.Split('\n'));

    [Theory]
    [InlineData("Device 3 is stopped. Start it: Start-UblkDevice 3", "Device 3 is stopped. Start it: ublk recover -n 3")]
    [InlineData("It is live. Replace the worker: Update-UblkDevice 3", "It is live. Replace the worker: ublk update -n 3")]
    [InlineData("Its record is lost. Remove it: Remove-UblkDevice 3 -Force", "Its record is lost. Remove it: ublk del -n 3")]
    [InlineData("Too late. Its log may show the cause: Get-UblkLog 3, or journalctl -t ublk",
        "Too late. Its log may show the cause: journalctl -t ublk")]
    [InlineData("You may not. Run as root. Or ask root to run Install-UblkUdevRule.", "You may not. Run as root.")]
    [InlineData("It is corrupt. Attach it with -ReadOnly.", "It is corrupt. Attach it with --read_only.")]
    [InlineData("They fail. Make it with -Recovery Queue or -Recovery Reissue.", "They fail. Make it with -r 1 or -i 1.")]
    [InlineData("It is no raw disk: attach it with -Target Qcow2 -KeyFile FILE.",
        "It is no raw disk: attach it with -t qcow2 --key_file FILE.")]
    [InlineData("It hangs. End it: kill -KILL 7", "It hangs. End it: kill -KILL 7")]
    [InlineData("Use Install-UblkUdevRule.", "Use Install-UblkUdevRule.")]
    public void An_error_names_the_commands_that_are_here(string message, string expected) =>
        Assert.Equal(expected, ErrorText.Of(new UblkException(UblkError.OperationFailed, message)));

    [Theory]
    [InlineData("0", 0L)]
    [InlineData("4096", 4096L)]
    [InlineData("4k", 4096L)]
    [InlineData("64MiB", 64L << 20)]
    [InlineData("2TB", 2L << 40)]
    [InlineData("7E", 7L << 60)]
    [InlineData("8E", null)]
    [InlineData("-1", null)]
    [InlineData("1.5G", null)]
    [InlineData("M", null)]
    [InlineData("1iB", null)]
    [InlineData("", null)]
    public void A_size_is_bytes_or_has_a_unit(string text, long? bytes) => Assert.Equal(bytes, SizeText.TryParse(text));

    [Fact]
    public void The_manual_has_each_verb_and_option() => Assert.All(UblkProgram.Root.Subcommands, command =>
    {
        Assert.Contains(command.Name, s_manual, StringComparison.Ordinal);
        Assert.All(command.Options.SelectMany(option => option.Aliases.Prepend(option.Name)), name =>
            Assert.Contains(name.Replace("-", @"\-", StringComparison.Ordinal), s_manual, StringComparison.Ordinal));
    });
}

using System.Text.RegularExpressions;
using Ublk.Registration;

namespace Ublk.Tests.Registration;

/// <summary>The rules as shipped: whom they let in, and what they run as root.</summary>
public partial class UdevRulesTests
{
    private static readonly string[] Rules =
    [
        .. Text.Replace("\\\n", "", StringComparison.Ordinal).Split('\n').Where(line => line.Length > 0 && line[0] != '#'),
    ];

    private static string Text => File.ReadAllText(
        Path.Combine(Repository.Root, "src", "Ublk.PowerShell", "Module", "udev", Path.GetFileName(UdevRules.Path)));

    [Fact]
    public void The_only_program_they_run_is_roots_own_copy()
    {
        string program = Assert.Single(Rules.SelectMany(rule => Programs().Matches(rule))).Groups[1].Value;
        Assert.Equal($"{UdevRules.Helper} owner %k", program);
    }

    [Fact]
    public void A_device_is_its_owners_alone()
    {
        string rule = Assert.Single(Rules, rule => rule.Contains("OWNER=", StringComparison.Ordinal));
        Assert.Contains("KERNEL==\"ublk[bc][0-9]*\"", rule, StringComparison.Ordinal);
        Assert.Contains("OWNER=\"%c{1}\", GROUP=\"%c{2}\", MODE=\"0600\"", rule, StringComparison.Ordinal);
    }

    [Fact]
    public void The_node_everybody_may_open_is_the_control_node()
    {
        string rule = Assert.Single(Rules, rule => rule.Contains("0666", StringComparison.Ordinal));
        Assert.Contains("KERNEL==\"ublk-control\"", rule, StringComparison.Ordinal);
    }

    // Between the defaults of all devices and the rules that look for file systems on disks (udev(7): in the order of their names).
    [Fact]
    public void They_come_before_those_that_read_disks()
    {
        string name = Path.GetFileName(UdevRules.Path);
        Assert.InRange(string.CompareOrdinal(name, "50-udev-default.rules"), 1, int.MaxValue);
        Assert.InRange(string.CompareOrdinal(name, "60-persistent-storage.rules"), int.MinValue, -1);
    }

    [GeneratedRegex("(?:PROGRAM|RUN|IMPORT)[^=]*=+\"([^\"]*)\"")]
    private static partial Regex Programs();
}

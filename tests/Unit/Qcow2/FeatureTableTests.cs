using System.Reflection;
using System.Text.RegularExpressions;

namespace Ublk.Tests.Qcow2;

/// <summary>The table of features in docs/qcow2.md has no empty cell, and names tests that exist.</summary>
public partial class FeatureTableTests
{
    private static readonly string[][] s_rows =
    [
        .. File.ReadLines(Path.Combine(Repository.Root, "docs/qcow2.md"))
            .Where(line => line.StartsWith("| ", StringComparison.Ordinal))
            .TakeWhile(line => !line.StartsWith("| | |", StringComparison.Ordinal))
            .Select(line => line.Trim('|').Split('|').Select(cell => cell.Trim()).ToArray()),
    ];

    [Fact]
    public void Each_cell_says_something() => Assert.All(s_rows, row =>
    {
        Assert.Equal(6, row.Length);
        Assert.DoesNotContain("", row);
    });

    [Fact]
    public void Each_test_it_names_exists()
    {
        Assert.True(s_rows.Length > 30);
        foreach (string cell in s_rows.SelectMany(row => row))
        {
            string type = "";
            foreach (Match match in Code().Matches(cell))
            {
                string name = match.Groups[1].Value;
                if (name.EndsWith(".Tests.ps1", StringComparison.Ordinal))
                {
                    Assert.True(File.Exists(Path.Combine(Repository.Root, "tests", name)), $"There is no {name}.");
                }
                else if (TestName().Match(name) is { Success: true } test)
                {
                    type = test.Groups[1].Success ? test.Groups[1].Value : type;
                    Assert.True(Exists(type, test.Groups[2].Value), $"There is no test {type}.{test.Groups[2].Value}.");
                }
            }
        }
    }

    private static bool Exists(string type, string start) => Assembly.GetExecutingAssembly().GetTypes()
        .Where(candidate => candidate.Name == type)
        .SelectMany(candidate => candidate.GetMethods())
        .Any(method => method.Name.StartsWith(start, StringComparison.Ordinal) && method.GetCustomAttribute<FactAttribute>() is not null);

    [GeneratedRegex("`([^`]+)`")]
    private static partial Regex Code();

    // A second test of a class is named without it.
    [GeneratedRegex("^(?:([A-Za-z0-9]+Tests)\\.)?([A-Z][a-z]*_[A-Za-z0-9_]+)…?$")]
    private static partial Regex TestName();
}

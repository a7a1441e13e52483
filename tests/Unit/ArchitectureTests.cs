using System.Reflection;
using System.Text.RegularExpressions;
using Ublk.CommandLine;
using Ublk.PowerShell.Commands;

namespace Ublk.Tests;

/// <summary>The engine's folders use each other as the table in docs/architecture.md says, and its picture shows it.</summary>
public partial class ArchitectureTests
{
    private static readonly string s_sources = Path.Combine(Repository.Root, "src/Ublk.Engine");

    private static readonly string[] s_page = File.ReadAllLines(Path.Combine(Repository.Root, "docs/architecture.md"));

    // Every folder may use the root's types, which the table leaves out.
    private static readonly (string From, string To)[] s_arrows =
        [.. FolderGraph.Read(typeof(UblkException).Assembly.Location, s_sources).Where(arrow => arrow.To != FolderGraph.Root).Order()];

    private static readonly Dictionary<string, string[]> s_table = s_page.Select(line => Row().Match(line)).Where(row => row.Success)
        .ToDictionary(row => row.Groups["folder"].Value, row =>
            (string[])[.. Name().Matches(row.Groups["uses"].Value).Select(name => name.Groups[1].Value)]);

    [Fact]
    public void No_folder_uses_one_that_uses_it()
    {
        Dictionary<string, string[]> left = FoldersOf(s_arrows).ToDictionary(
            folder => folder, folder => (string[])[.. s_arrows.Where(arrow => arrow.From == folder).Select(arrow => arrow.To)]);
        while (left.FirstOrDefault(folder => !folder.Value.Any(left.ContainsKey)).Key is { } leaf)
        {
            left.Remove(leaf);
        }

        Assert.Empty(left.Select(folder => $"{folder.Key} uses {string.Join(", ", folder.Value.Where(left.ContainsKey))}"));
    }

    [Fact]
    public void The_table_lists_what_each_folder_uses_and_nothing_else()
    {
        (string, string)[] listed = [.. s_table.SelectMany(row => row.Value.Select(used => (row.Key, used)))];
        Assert.Empty((string[])
        [
            .. s_arrows.Except(listed).Select(arrow => $"{arrow.Item1} uses {arrow.Item2}, which its row does not list"),
            .. listed.Except(s_arrows).Select(arrow => $"the row of {arrow.Item1} lists {arrow.Item2}, which it does not use"),
        ]);
    }

    [Fact]
    public void Each_folder_has_a_row_and_the_namespace_of_its_name()
    {
        Assert.Equal(FoldersOf(s_arrows).Order(), s_table.Keys.Order());
        Assert.All(FolderGraph.SourceFiles(s_sources), file =>
        {
            string folder = Path.GetRelativePath(s_sources, Path.GetDirectoryName(file)!);
            string expected = folder == "." ? "Ublk" : $"Ublk.{folder.Replace('/', '.')}";
            Assert.Contains($"\nnamespace {expected};\n", $"\n{File.ReadAllText(file)}", StringComparison.Ordinal);
        });
    }

    // The picture is the page's first block.
    [Fact]
    public void The_picture_has_each_folder_above_those_that_it_uses()
    {
        string[] picture =
            [.. s_page.SkipWhile(line => !line.StartsWith("    ", StringComparison.Ordinal)).TakeWhile(line => line.Length > 0)];
        Dictionary<string, int> lines = s_table.Keys.ToDictionary(folder => folder, folder => Array.FindIndex(
            picture, line => line.Split([' ', '│'], StringSplitOptions.RemoveEmptyEntries).Contains(folder)));
        Assert.All(lines, folder => Assert.True(folder.Value >= 0, $"{folder.Key} is not in the picture"));
        Assert.All(s_arrows, arrow => Assert.True(
            lines[arrow.From] < lines[arrow.To], $"{arrow.From} uses {arrow.To}, but does not stand above it"));
    }

    // They see the engine's internal types, so only this keeps what they depend on small.
    [Fact]
    public void The_programs_use_the_folders_that_their_rows_list()
    {
        Dictionary<string, string> rows = s_page.Select(line => ProgramRow().Match(line)).Where(row => row.Success)
            .ToDictionary(row => row.Groups["program"].Value, row => row.Groups["uses"].Value);
        Dictionary<string, Assembly> programs = new()
        {
            ["src/Ublk.PowerShell"] = typeof(NewUblkDeviceCommand).Assembly,
            ["src/Ublk.Command"] = typeof(UblkProgram).Assembly,
        };
        Assert.Equal(
            programs.ToDictionary(program => program.Key, program => string.Join(
                ", ", FolderGraph.FoldersUsedBy(program.Value).Select(folder => $"`{folder}`"))),
            rows);
    }

    private static IEnumerable<string> FoldersOf(IEnumerable<(string From, string To)> arrows) =>
        arrows.SelectMany(arrow => new[] { arrow.From, arrow.To }).Distinct();

    [GeneratedRegex(@"^\| `(?<folder>[A-Z][A-Za-z0-9/]*|\(root\))` \|[^|]*\|(?<uses>[^|]*)\|$")]
    private static partial Regex Row();

    [GeneratedRegex(@"^\| `(?<program>src/[A-Za-z.]+)` \| (?<uses>`[A-Z].*) \|$")]
    private static partial Regex ProgramRow();

    [GeneratedRegex("`([^`]+)`")]
    private static partial Regex Name();
}

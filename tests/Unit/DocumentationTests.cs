using System.Text.RegularExpressions;

namespace Ublk.Tests;

/// <summary>What the pages for developers name is there.</summary>
public partial class DocumentationTests
{
    // Folders that a path may be relative to: pages of the engine name its files from the engine's folder.
    private static readonly string[] s_bases = ["", "src", "src/Ublk.Engine"];

    public static TheoryData<string> Pages =>
    [
        .. new[] { "README.md", "CONTRIBUTING.md" }.Concat(
            Directory.EnumerateFiles(Path.Combine(Repository.Root, "docs"), "*.md", SearchOption.AllDirectories)
                .Select(page => Path.GetRelativePath(Repository.Root, page)).Order()),
    ];

    [Theory]
    [MemberData(nameof(Pages))]
    public void Every_file_of_the_repository_that_a_page_names_is_there(string page)
    {
        string text = File.ReadAllText(Path.Combine(Repository.Root, page));
        IEnumerable<string> paths = CodeSpan().Matches(text).Select(match => match.Groups[1].Value).Where(span => IsPath().IsMatch(span));
        Assert.DoesNotContain(paths, path => !s_bases.Any(start => Path.Exists(Path.Combine(Repository.Root, start, path))));
    }

    [Theory]
    [MemberData(nameof(Pages))]
    public void Every_page_that_a_page_links_to_is_there(string page)
    {
        string text = File.ReadAllText(Path.Combine(Repository.Root, page));
        string folder = Path.GetDirectoryName(Path.Combine(Repository.Root, page))!;
        IEnumerable<string> links = Link().Matches(text).Select(match => match.Groups[1].Value)
            .Where(link => !link.Contains(':', StringComparison.Ordinal));
        Assert.DoesNotContain(links, link => !Path.Exists(Path.Combine(folder, link)));
    }

    [GeneratedRegex("(?<!`)`([^`\\s]+)`(?!`)")]
    private static partial Regex CodeSpan();

    // What begins with a folder of the repository, and any source file with a folder before it.
    [GeneratedRegex(@"^(src|tests|docs|tools|bench|samples|templates)/[\w./-]+$|^[\w.]+(/[\w.-]+)+\.cs$")]
    private static partial Regex IsPath();

    [GeneratedRegex(@"\]\(([^)#\s]+)(#[^)]*)?\)")]
    private static partial Regex Link();
}

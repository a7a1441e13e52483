using System.Runtime.CompilerServices;

namespace Ublk.Tests;

/// <summary>What no analyzer checks.</summary>
public class SourceTests
{
    private const int MaxColumns = 140;

    [Fact]
    public void A_line_has_140_columns_at_most()
    {
        string root = Path.GetFullPath(Path.Combine(Path.GetDirectoryName(Here())!, "../.."));
        IEnumerable<string> longLines =
            from folder in new[] { "src", "tests", "bench", "samples", "templates", "tools" }
            from file in Directory.EnumerateFiles(Path.Combine(root, folder), "*.cs", SearchOption.AllDirectories)
            where !file.Contains("/obj/", StringComparison.Ordinal) && !file.Contains("/bin/", StringComparison.Ordinal)
            from line in File.ReadLines(file).Select((text, index) => (Text: text, Number: index + 1))
            where line.Text.Length > MaxColumns
            select $"{Path.GetRelativePath(root, file)}:{line.Number}";
        Assert.Empty(longLines);
    }

    private static string Here([CallerFilePath] string path = "") => path;
}

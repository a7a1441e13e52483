using Markdig.Syntax;
using Markdown = Markdig.Markdown;

namespace Ublk.HelpBuilder;

/// <summary>A page of docs that is not about a cmdlet, as the text that <c>Get-Help about_...</c> shows.</summary>
internal static class AboutTopic
{
    private const int Width = 76;
    private const string Indent = "    ";

    /// <summary>Turns a page into text.</summary>
    /// <param name="name">The topic's name, <c>about_...</c>.</param>
    /// <param name="file">The page: its first paragraph is the short description.</param>
    public static string Read(string name, string file)
    {
        List<string> lines = ["TOPIC", Indent + name];
        string next = "SHORT DESCRIPTION";
        foreach (Block block in Markdown.Parse(File.ReadAllText(file), PlainText.Dialect))
        {
            if (block is HeadingBlock { Level: <= 2 } heading)
            {
                next = heading.Level == 2 ? PlainText.Of(heading.Inline).ToUpperInvariant() : next;
                continue;
            }

            lines.Add("");
            if (next.Length > 0)
            {
                lines.Add(next);
                next = next == "SHORT DESCRIPTION" ? "LONG DESCRIPTION" : "";
            }

            lines.AddRange(PlainText.Lines(block, Width - Indent.Length).Select(line => Indent + line));
        }

        return string.Concat(lines.Select(line => line.TrimEnd() + '\n'));
    }
}

using System.Text;
using Markdig;
using Markdig.Extensions.Tables;
using Markdig.Syntax;
using Markdig.Syntax.Inlines;

namespace Ublk.HelpBuilder;

/// <summary>Markdown as a console shows it.</summary>
internal static class PlainText
{
    /// <summary>Markdown, with tables.</summary>
    public static MarkdownPipeline Dialect { get; } = new MarkdownPipelineBuilder().UsePipeTables().Build();

    /// <summary>A block's paragraphs, unwrapped; an item of a list is one, with a dash before it.</summary>
    public static IEnumerable<string> Paragraphs(Block block) => block switch
    {
        ParagraphBlock paragraph => [Of(paragraph.Inline)],
        ListBlock list => list.OfType<ListItemBlock>().Select(item => "- " + Of(item)),
        _ => [string.Join('\n', Lines(block, int.MaxValue))],
    };

    /// <summary>A block's lines.</summary>
    /// <param name="block">The block.</param>
    /// <param name="width">How long a line may be.</param>
    public static IEnumerable<string> Lines(Block block, int width) => block switch
    {
        CodeBlock code => code.Lines.ToString().Split('\n').Select(line => "    " + line),
        ListBlock list => list.OfType<ListItemBlock>().SelectMany(item => Hang(Of(item), "- ", width)),
        Table table => Columns(table, width),
        ParagraphBlock paragraph => Wrap(Of(paragraph.Inline), width),
        HeadingBlock heading => [Of(heading.Inline).ToUpperInvariant()],
        _ => throw new HelpException($"Line {block.Line + 1} has something that help cannot show: {block.GetType().Name}."),
    };

    /// <summary>What an item of a list says.</summary>
    public static string Of(ListItemBlock item) => string.Join(' ', item.SelectMany(Paragraphs));

    /// <summary>What a line says, without its marks.</summary>
    public static string Of(ContainerInline? line)
    {
        StringBuilder text = new();
        foreach (Inline part in line ?? [])
        {
            _ = text.Append(part switch
            {
                LiteralInline literal => literal.Content.ToString(),
                CodeInline code => code.Content,
                LineBreakInline => " ",
                ContainerInline container => Of(container),
                HtmlEntityInline entity => entity.Transcoded.ToString(),
                AutolinkInline link => link.Url,
                _ => throw new HelpException($"Line {part.Line + 1} has something that help cannot show: {part.GetType().Name}."),
            });
        }

        return text.ToString();
    }

    // All columns but the last are as wide as their widest cell; a heading without words is left out.
    private static IEnumerable<string> Columns(Table table, int width)
    {
        string[][] rows =
        [
            .. table.OfType<TableRow>()
                .Select(row => row.OfType<TableCell>().Select(cell => string.Join(' ', cell.SelectMany(Paragraphs))).ToArray())
                .Where(row => row.Any(cell => cell.Length > 0)),
        ];
        int[] widths = [.. Enumerable.Range(0, rows[0].Length - 1).Select(column => rows.Max(row => row[column].Length))];
        return rows.SelectMany(row =>
            Hang(row[^1], string.Concat(widths.Select((columnWidth, column) => row[column].PadRight(columnWidth + 2))), width));
    }

    private static IEnumerable<string> Hang(string text, string label, int width)
    {
        string indent = new(' ', label.Length);
        return Wrap(text, width - label.Length).Select((line, number) => (number == 0 ? label : indent) + line);
    }

    private static IEnumerable<string> Wrap(string text, int width)
    {
        string line = "";
        foreach (string word in text.Split(' ', StringSplitOptions.RemoveEmptyEntries))
        {
            if (line.Length > 0 && line.Length + 1 + word.Length > width)
            {
                yield return line;
                line = "";
            }

            line += line.Length > 0 ? ' ' + word : word;
        }

        yield return line;
    }
}

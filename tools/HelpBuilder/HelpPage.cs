using Markdig.Syntax;
using Markdown = Markdig.Markdown;

namespace Ublk.HelpBuilder;

/// <summary>An example: what it does, and what to type.</summary>
internal sealed record HelpExample(IReadOnlyList<string> Remarks, string Code);

/// <summary>A type that a cmdlet takes or gives.</summary>
internal sealed record HelpType(string Name, string Text);

/// <summary>A page of docs/help about a cmdlet, or about what cmdlets of a base class share.</summary>
internal sealed class HelpPage
{
    private readonly Dictionary<string, List<Block>> _sections = [];
    private readonly string _file;

    private HelpPage(string file)
    {
        _file = file;
        List<Block> section = _sections[""] = [];
        foreach (Block block in Markdown.Parse(File.ReadAllText(file), PlainText.Dialect))
        {
            if (block is HeadingBlock { Level: 1 } title)
            {
                Title = PlainText.Of(title.Inline);
            }
            else if (block is HeadingBlock { Level: 2 } heading)
            {
                section = _sections[PlainText.Of(heading.Inline)] = [];
            }
            else
            {
                section.Add(block);
            }
        }

        Parameters = ReadParameters();
    }

    /// <summary>The heading of the page.</summary>
    public string Title { get; } = "";

    /// <summary>The paragraphs before the first section: a sentence that says it all, and the description.</summary>
    public IReadOnlyList<string> Introduction => [.. Section("").SelectMany(PlainText.Paragraphs)];

    /// <summary>The section Parameters: a heading and paragraphs for each.</summary>
    public IReadOnlyDictionary<string, IReadOnlyList<string>> Parameters { get; }

    /// <summary>The section Input: a list of types.</summary>
    public IReadOnlyList<HelpType> Inputs => Types("Input");

    /// <summary>The section Output: a list of types.</summary>
    public IReadOnlyList<HelpType> Outputs => Types("Output");

    /// <summary>The section See also: a list of names.</summary>
    public IReadOnlyList<string> Links => [.. Items("See also")];

    /// <summary>The section Examples: paragraphs, and the code they are about.</summary>
    public IReadOnlyList<HelpExample> Examples
    {
        get
        {
            List<HelpExample> examples = [];
            List<string> remarks = [];
            foreach (Block block in Section("Examples"))
            {
                if (block is FencedCodeBlock code)
                {
                    examples.Add(new HelpExample(remarks, code.Lines.ToString()));
                    remarks = [];
                }
                else
                {
                    remarks.AddRange(PlainText.Paragraphs(block));
                }
            }

            return examples;
        }
    }

    /// <summary>Reads a page.</summary>
    public static HelpPage Read(string file) => new(file);

    private Dictionary<string, IReadOnlyList<string>> ReadParameters()
    {
        Dictionary<string, IReadOnlyList<string>> parameters = [];
        List<string> paragraphs = [];
        foreach (Block block in Section("Parameters"))
        {
            if (block is HeadingBlock heading)
            {
                parameters.Add(PlainText.Of(heading.Inline), paragraphs = []);
            }
            else
            {
                paragraphs.AddRange(PlainText.Paragraphs(block));
            }
        }

        return parameters;
    }

    private List<Block> Section(string name) => _sections.GetValueOrDefault(name, []);

    private IEnumerable<string> Items(string section) =>
        Section(section).OfType<ListBlock>().SelectMany(list => list.OfType<ListItemBlock>()).Select(PlainText.Of);

    private HelpType[] Types(string section) =>
    [
        .. Items(section).Select(item => item.Split(": ", 2) is [string name, string text]
            ? new HelpType(name, text)
            : throw new HelpException($"{_file}: '{item}' is no type and what it is, with a colon between them.")),
    ];
}

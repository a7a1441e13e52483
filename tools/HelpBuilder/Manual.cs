using Markdig.Syntax;
using Markdown = Markdig.Markdown;

namespace Ublk.HelpBuilder;

/// <summary>The module's help: a page for each cmdlet, and topics.</summary>
internal static class Manual
{
    /// <summary>Makes what Get-Help reads.</summary>
    /// <param name="docs">The folder of the documentation: <c>help</c> has the cmdlets' pages and the topics.</param>
    /// <param name="folder">Where to put the help.</param>
    /// <param name="uri">The public address of <paramref name="docs"/>, which Get-Help -Online opens; null if there is none.</param>
    /// <exception cref="HelpException">Something has no help, or a page is not true.</exception>
    public static void Build(string docs, string folder, string? uri = null)
    {
        string pages = Path.Combine(docs, "help");
        IReadOnlyList<Cmdlet> cmdlets = Cmdlet.All();
        IReadOnlyList<CmdletHelp> help = CmdletHelp.ReadAll(pages, cmdlets);
        CheckExamples(docs, new ExampleCheck(cmdlets));
        Directory.CreateDirectory(folder);
        Maml.Of(help, uri).Save(Path.Combine(folder, "Ublk.PowerShell.dll-Help.xml"));
        WriteTopic("about_Ublk_Errors", Path.Combine(docs, "errors.md"));
        foreach (string file in Directory.EnumerateFiles(pages, "about_*.md"))
        {
            WriteTopic(Path.GetFileNameWithoutExtension(file), file);
        }

        void WriteTopic(string name, string file) =>
            File.WriteAllText(Path.Combine(folder, $"{name}.help.txt"), AboutTopic.Read(name, file));
    }

    // Whatever is said to be PowerShell, in every page there is.
    private static void CheckExamples(string docs, ExampleCheck check)
    {
        foreach (string file in Directory.EnumerateFiles(docs, "*.md", SearchOption.AllDirectories))
        {
            foreach (FencedCodeBlock code in Markdown.Parse(File.ReadAllText(file), PlainText.Dialect).Descendants<FencedCodeBlock>()
                .Where(code => code.Info == "powershell"))
            {
                check.Check(file, code.Lines.ToString());
            }
        }
    }
}

using Markdig.Syntax;
using Markdown = Markdig.Markdown;

namespace Ublk.HelpBuilder;

/// <summary>The module's help: a page for each cmdlet, and topics.</summary>
internal static class Manual
{
    /// <summary>Makes what Get-Help reads.</summary>
    /// <param name="pages">The folder of Markdown pages.</param>
    /// <param name="folder">Where to put the help.</param>
    /// <exception cref="HelpException">Something has no help, or a page is not true.</exception>
    public static void Build(string pages, string folder)
    {
        IReadOnlyList<Cmdlet> cmdlets = Cmdlet.All();
        IReadOnlyList<CmdletHelp> help = CmdletHelp.ReadAll(pages, cmdlets);
        string[] topics = Directory.GetFiles(pages, "about_*.md");
        ExampleCheck examples = new(cmdlets);
        foreach (string file in topics.Concat(cmdlets.Select(cmdlet => Path.Combine(pages, $"{cmdlet.Name}.md"))))
        {
            foreach (FencedCodeBlock code in Markdown.Parse(File.ReadAllText(file), PlainText.Dialect).Descendants<FencedCodeBlock>()
                .Where(code => code.Info == "powershell"))
            {
                examples.Check(file, code.Lines.ToString());
            }
        }

        Directory.CreateDirectory(folder);
        Maml.Of(help).Save(Path.Combine(folder, "Ublk.PowerShell.dll-Help.xml"));
        foreach (string file in topics)
        {
            string name = Path.GetFileNameWithoutExtension(file);
            File.WriteAllText(Path.Combine(folder, $"{name}.help.txt"), AboutTopic.Read(name, file));
        }
    }
}

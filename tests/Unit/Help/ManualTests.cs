using System.Management.Automation.Runspaces;
using System.Xml.Linq;
using Ublk.HelpBuilder;
using Ublk.PowerShell;
using Pwsh = System.Management.Automation.PowerShell;

namespace Ublk.Tests.Help;

/// <summary>The pages of docs/help say what the module has, no less and no more: otherwise the build says what is wrong.</summary>
public sealed class ManualTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("ublk-help-").FullName;

    private string Docs => Path.Combine(_folder, "docs");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void Each_cmdlet_has_its_syntax_parameters_and_examples()
    {
        CopyPages();

        Manual.Build(Docs, Path.Combine(_folder, "en-US"));

        XElement help = XDocument.Load(Path.Combine(_folder, "en-US", "Ublk.PowerShell.dll-Help.xml")).Root!;
        XNamespace command = "http://schemas.microsoft.com/maml/dev/command/2004/10";
        XElement create = help.Elements().Single(one => one.Descendants(command + "name").First().Value == "New-UblkDevice");
        Assert.Equal(2, create.Element(command + "syntax")!.Elements().Count());
        Assert.Contains(
            create.Element(command + "parameters")!.Elements(),
            parameter => parameter.Value.Contains("For the Qcow2 target. The file that has the passphrase", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("https://docs.example/ublk", "https://docs.example/ublk/help/New-UblkDevice.md")]
    [InlineData("https://docs.example/ublk/", "https://docs.example/ublk/help/New-UblkDevice.md")]
    [InlineData("", "")]
    public void Each_cmdlet_has_its_online_page_where_the_documentation_is_published(string uri, string page)
    {
        CopyPages();
        string module = Path.Combine(_folder, "Ublk.PowerShell.dll");
        File.Copy(typeof(HumanSize).Assembly.Location, module);

        Manual.Build(Docs, Path.Combine(_folder, "en-US"), uri);

        using Pwsh shell = Pwsh.Create(InitialSessionState.CreateDefault2());
        shell.AddScript("Import-Module $args[0]; (Get-Command New-UblkDevice).HelpUri").AddArgument(module);
        Assert.Equal(page, shell.Invoke<string>().Single());
    }

    [Theory]
    [InlineData("help/Set-UblkDevice.md", "### QueueAffinity", "### Affinity", "no help for -QueueAffinity")]
    [InlineData("help/Set-UblkDevice.md", "## Parameters", "## Parameters\n\n### Colour\n\nNone.", "no parameter Colour")]
    [InlineData("help/Set-UblkDevice.md", "-QueueAffinity 1", "-QueueAffinity 1 |", "empty pipe")]
    [InlineData("help/Set-UblkDevice.md", "-QueueAffinity 1", "-Colour red", "no parameter -Colour")]
    [InlineData("help/Set-UblkDevice.md", "Get-UblkDevice |", "Show-UblkDevice |", "no cmdlet Show-UblkDevice")]
    [InlineData("help/Set-UblkDevice.md", "## Examples", "## Pictures", "fewer than three examples")]
    [InlineData("errors.md", "-ErrorVariable failure", "-Quietly", "no parameter -Quietly")]
    public void A_page_that_is_not_true_is_refused(string page, string truth, string lie, string complaint)
    {
        CopyPages();
        string file = Path.Combine(Docs, page);
        string text = File.ReadAllText(file);
        Assert.Contains(truth, text, StringComparison.Ordinal);
        File.WriteAllText(file, text.Replace(truth, lie, StringComparison.Ordinal));

        HelpException refusal = Assert.Throws<HelpException>(() => Manual.Build(Docs, Path.Combine(_folder, "en-US")));

        Assert.Contains(page, refusal.Message, StringComparison.Ordinal);
        Assert.Contains(complaint, refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_cmdlet_without_a_page_is_noticed()
    {
        CopyPages();
        File.Delete(Path.Combine(Docs, "help", "Set-UblkDevice.md"));

        HelpException refusal = Assert.Throws<HelpException>(() => Manual.Build(Docs, Path.Combine(_folder, "en-US")));

        Assert.Contains("Set-UblkDevice has no page", refusal.Message, StringComparison.Ordinal);
    }

    private void CopyPages() => Shell.Run("cp", "-r", Path.Combine(Repository.Root, "docs"), Docs);
}

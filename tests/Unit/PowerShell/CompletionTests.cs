using System.Collections.ObjectModel;
using System.Management.Automation;
using System.Management.Automation.Runspaces;
using Ublk.PowerShell;
using Pwsh = System.Management.Automation.PowerShell;

namespace Ublk.Tests.PowerShell;

/// <summary>What Tab offers where no device is needed for it; the specs look at the rest.</summary>
public sealed class CompletionTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("ublk-completion-").FullName;
    private readonly Pwsh _shell = Pwsh.Create(InitialSessionState.CreateDefault2());

    public CompletionTests()
    {
        _shell.AddCommand("Import-Module").AddParameter("Assembly", typeof(HumanSize).Assembly).Invoke();
        foreach (string name in new[] { "a.img", "b.QCOW2", "notes.txt" })
        {
            File.WriteAllText(Path.Combine(_folder, name), "");
        }

        Directory.CreateDirectory(Path.Combine(_folder, "more"));
    }

    public void Dispose()
    {
        _shell.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public void Images_and_folders_come_first()
    {
        Assert.Equal(["a.img", "b.QCOW2", "more"], Complete($"New-UblkDevice -Target Loop -Path {_folder}/").Select(match => match.ListItemText));
        Assert.Equal(["a.img"], Complete($"Register-UblkDevice -Name x -Target Loop -Path {_folder}/a").Select(match => match.ListItemText));
    }

    [Fact]
    public void A_relative_path_starts_at_the_location_of_PowerShell()
    {
        _shell.Runspace.SessionStateProxy.Path.SetLocation(_folder);
        Assert.Equal(["a.img"], Complete("New-UblkDevice -Target Loop -Path a").Select(match => match.CompletionText));
    }

    [Fact]
    public void Where_there_is_no_image_any_file_is_offered() =>
        Assert.Equal(["notes.txt"], Complete($"New-UblkDevice -Target Loop -Path {_folder}/n").Select(match => match.ListItemText));

    [Fact]
    public void Lists_of_cpus_begin_with_all_of_them()
    {
        CompletionResult[] matches = [.. Complete("New-UblkDevice -Target Null -QueueAffinity ")];
        Assert.Equal(File.ReadAllText("/sys/devices/system/cpu/online").Trim(), matches[0].ListItemText);
        Assert.Equal("every CPU", matches[0].ToolTip);
        Assert.Contains(matches, match => match.CompletionText == "0");
        Assert.DoesNotContain(matches, match => match.CompletionText.Contains(',', StringComparison.Ordinal) && match.CompletionText[0] != '\'');
    }

    [Fact]
    public void Targets_say_what_they_are()
    {
        CompletionResult loop = Assert.Single(Complete("New-UblkDevice -Target lo"));
        Assert.Equal("Loop", loop.CompletionText);
        Assert.NotEqual("Loop", loop.ToolTip);
    }

    [Fact]
    public void Choices_of_a_target_come_with_it()
    {
        Assert.Contains("Reissue", Complete("New-UblkDevice Null -Recovery R").Select(match => match.CompletionText));
        Assert.Equal(["ENODATA"], Complete("New-UblkDevice Fault -ErrorKind ENOD").Select(match => match.CompletionText));
        Assert.Contains("-HangEvery", Complete("New-UblkDevice -Target Fault -Hang").Select(match => match.CompletionText));
    }

    private Collection<CompletionResult> Complete(string line)
    {
        _shell.Commands.Clear();
        return CommandCompletion.CompleteInput(line, line.Length, null, _shell).CompletionMatches;
    }
}

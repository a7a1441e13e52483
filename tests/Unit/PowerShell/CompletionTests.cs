using System.Collections.ObjectModel;
using System.Globalization;
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
        Assert.Equal(["a.img", "b.QCOW2", "more"], Complete($"New-UblkDevice -Target Loop -Path {_folder}/")
            .Select(match => match.ListItemText));
        Assert.Equal(["a.img"], Complete($"Register-UblkDevice -Name x -Target Loop -Path {_folder}/a")
            .Select(match => match.ListItemText));
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

    [Theory]
    [InlineData("Get-UblkImage -Path", "'{0}/disk`[1`].img'")]
    [InlineData("New-UblkDevice -Target Loop -Path", "'{0}/disk`[1`].img'")]
    [InlineData("Get-UblkImage -LiteralPath", "'{0}/disk[1].img'")]
    [InlineData("Convert-UblkImage -Path", "'{0}/disk[1].img'")]
    [InlineData("Convert-UblkImage -Path x -Destination", "'{0}/disk[1].img'")]
    [InlineData("New-UblkImage -BackingPath", "'{0}/disk[1].img'")]
    [InlineData("New-UblkImage -Path", "'{0}/disk[1].img'")]
    public void Wildcard_characters_are_escaped_where_they_would_be_expanded(string command, string expected)
    {
        File.WriteAllText(Path.Combine(_folder, "disk[1].img"), "");
        string text = string.Format(CultureInfo.InvariantCulture, expected, _folder);
        Assert.Equal([text], Complete($"{command} {_folder}/disk").Select(match => match.CompletionText));

        // Completed once more, with the quote that stands there.
        Assert.Equal([text], Complete($"{command} {text[..(text.LastIndexOf('1') + 1)]}").Select(match => match.CompletionText));
    }

    [Fact]
    public void Snapshots_of_a_file_with_wildcard_characters_in_its_name()
    {
        string image = Path.Combine(_folder, "disk[1].qcow2");
        Shell.Run("qemu-img", "create", "-q", "-f", "qcow2", image, "1M");
        Shell.Run("qemu-img", "snapshot", "-c", "day[1]", image);
        Assert.Equal("'day`[1`]'", Assert.Single(Complete($"Get-UblkImageSnapshot '{_folder}/disk`[1`].qcow2' -Name d")).CompletionText);
        Assert.Equal("'day`[1`]'", Assert.Single(Complete($"Get-UblkImageSnapshot -LiteralPath '{image}' -Name d")).CompletionText);
        Assert.Equal("'day[1]'", Assert.Single(Complete($"Restore-UblkImageSnapshot '{image}' -Snapshot d")).CompletionText);
    }

    [Fact]
    public void Lists_of_cpus_begin_with_all_of_them()
    {
        CompletionResult[] matches = [.. Complete("New-UblkDevice -Target Null -QueueAffinity ")];
        Assert.Equal(File.ReadAllText("/sys/devices/system/cpu/online").Trim(), matches[0].ListItemText);
        Assert.Equal("every CPU", matches[0].ToolTip);
        Assert.Contains(matches, match => match.CompletionText == "0");
        Assert.DoesNotContain(matches, match =>
            match.CompletionText.Contains(',', StringComparison.Ordinal) && match.CompletionText[0] != '\'');
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
        Assert.Contains("Reissue", Complete("New-UblkDevice -Target Null -Recovery R").Select(match => match.CompletionText));
        Assert.Equal(["Ignore"], Complete("New-UblkDevice x.qcow2 -Discard Ig").Select(match => match.CompletionText));
        Assert.Contains("-CacheSize", Complete("New-UblkDevice -Target Qcow2 -Cache").Select(match => match.CompletionText));
    }

    private Collection<CompletionResult> Complete(string line)
    {
        _shell.Commands.Clear();
        return CommandCompletion.CompleteInput(line, line.Length, null, _shell).CompletionMatches;
    }
}

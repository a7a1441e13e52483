namespace Ublk.Tests.PowerShell;

/// <summary>Which commands ask, and that nothing is done before the answer.</summary>
public sealed class ConfirmationTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("ublk-confirmation-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData("New-UblkImage a.qcow2 1MB")]
    [InlineData("Convert-UblkImage disk.img a.qcow2 -SourceFormat Raw")]
    [InlineData("New-UblkDevice -Target Loop -Path disk.img")]
    [InlineData("Register-UblkDevice -Name data -Target Loop -Path disk.img")]
    [InlineData("Install-UblkUdevRule")]
    [InlineData("Uninstall-UblkUdevRule")]
    public void WhatIf_says_what_would_be_done_and_does_nothing(string command)
    {
        using CmdletSession session = Start();

        Assert.Empty(session.Run($"{command} -WhatIf"));

        Assert.Empty(session.Errors);
        Assert.StartsWith("What if: ", Assert.Single(session.Host.Lines), StringComparison.Ordinal);
        Assert.Empty(session.Host.Prompts);
        Assert.Equal(["disk.img"], Directory.GetFileSystemEntries(_folder).Select(Path.GetFileName));
    }

    [Theory]
    [InlineData("New-UblkImage a.qcow2 1MB -Confirm")]
    [InlineData("Remove-UblkDevice 77 -Confirm")]
    [InlineData("Restore-UblkImageSnapshot disk.img snapshot")]
    [InlineData("Remove-UblkImageSnapshot disk.img snapshot")]
    [InlineData("Clear-UblkImageBitmap disk.img bitmap")]
    [InlineData("Remove-UblkImageBitmap disk.img bitmap")]
    public void No_is_an_answer(string command)
    {
        using CmdletSession session = Start('N');

        Assert.Empty(session.Run(command));

        Assert.Empty(session.Errors);
        Assert.Single(session.Host.Prompts);
        Assert.Equal(["disk.img"], Directory.GetFileSystemEntries(_folder).Select(Path.GetFileName));
    }

    [Theory]
    [InlineData("Remove-UblkDevice 77, 78 -Confirm")]
    public void No_to_all_is_asked_once(string command)
    {
        using CmdletSession session = Start('L');
        session.Run(command);
        Assert.Empty(session.Errors);
        Assert.Single(session.Host.Prompts);
    }

    private CmdletSession Start(char? answer = null)
    {
        File.WriteAllBytes(Path.Combine(_folder, "disk.img"), new byte[4096]);
        CmdletSession session = new(answer);
        session.Run("Set-Location -LiteralPath $args[0]", _folder);
        return session;
    }
}

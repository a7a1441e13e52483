using System.Diagnostics;
using System.Management.Automation;

namespace PwshHost.Commands.Processes;

[Cmdlet(VerbsLifecycle.Start, "Process")]
public sealed class StartProcessCommand : PSCmdlet
{
    [Parameter(Mandatory = true, Position = 0)]
    [Alias("PSPath", "Path")]
    public string FilePath { get; set; } = string.Empty;

    /// <summary>Joined with spaces as pwsh does, so a word with spaces needs its own quotes.</summary>
    [Parameter(Position = 1)]
    [Alias("Args")]
    public string[] ArgumentList { get; set; } = [];

    [Parameter]
    public string? WorkingDirectory { get; set; }

    [Parameter]
    public string? RedirectStandardOutput { get; set; }

    [Parameter]
    public string? RedirectStandardError { get; set; }

    [Parameter]
    public SwitchParameter NoNewWindow { get; set; }

    [Parameter]
    public SwitchParameter PassThru { get; set; }

    [Parameter]
    public SwitchParameter Wait { get; set; }

    protected override void BeginProcessing()
    {
        var start = new ProcessStartInfo(FilePath, string.Join(' ', ArgumentList))
        {
            WorkingDirectory = WorkingDirectory ?? SessionState.Path.CurrentFileSystemLocation.ProviderPath,
            RedirectStandardOutput = RedirectStandardOutput is not null,
            RedirectStandardError = RedirectStandardError is not null,
        };
        Process process = Process.Start(start)!;
        CopyTo(RedirectStandardOutput, () => process.StandardOutput.BaseStream);
        CopyTo(RedirectStandardError, () => process.StandardError.BaseStream);
        if (Wait)
        {
            process.WaitForExit();
        }

        if (PassThru)
        {
            WriteObject(process);
        }
    }

    private void CopyTo(string? path, Func<Stream> source)
    {
        if (path is null)
        {
            return;
        }

        FileStream file = File.Create(GetUnresolvedProviderPathFromPSPath(path));
        Stream stream = source();
        var copy = new Thread(() =>
        {
            using (file)
            {
                stream.CopyTo(file);
            }
        });
        copy.Start();
    }
}

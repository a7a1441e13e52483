using System.Diagnostics;
using System.Management.Automation;

namespace PwshHost.Pester;

/// <summary>Runs spec files: the part of Pester 5's command that scripts use.</summary>
[Cmdlet(VerbsLifecycle.Invoke, "Pester")]
public sealed class InvokePesterCommand : PSCmdlet
{
    /// <summary>Files, or directories whose *.Tests.ps1 are meant.</summary>
    [Parameter(Position = 0)]
    public string[] Path { get; set; } = ["."];

    [Parameter]
    [Alias("Tag")]
    public string[] TagFilter { get; set; } = [];

    [Parameter]
    [Alias("ExcludeTag")]
    public string[] ExcludeTagFilter { get; set; } = [];

    /// <summary>Wildcards on Describe.Context.It paths.</summary>
    [Parameter]
    [Alias("TestName")]
    public string[] FullNameFilter { get; set; } = [];

    [Parameter]
    [ValidateSet("None", "Normal", "Detailed")]
    public string Output { get; set; } = "Normal";

    [Parameter]
    public SwitchParameter PassThru { get; set; }

    protected override void EndProcessing()
    {
        long start = Stopwatch.GetTimestamp();
        var scopes = new Scopes(this);
        var report = new Report(Host.UI, Enum.Parse<Verbosity>(Output, ignoreCase: true));
        var runner = new Runner(scopes, report);
        List<Block> files = [];
        int failedFiles = 0;
        foreach (string path in Path.SelectMany(SpecsAt))
        {
            try
            {
                files.Add(Discovery.Read(path, scopes));
            }
            catch (RuntimeException error) when (error is not PipelineStoppedException)
            {
                failedFiles++;
                report.FileError(path, error.ErrorRecord);
            }
        }

        foreach (Block file in files)
        {
            foreach (Test test in file.Tests)
            {
                test.IsSelected = IsSelected(test);
            }

            if (file.Tests.Any(t => t.IsSelected))
            {
                report.File(file.Name);
                runner.Run(file);
            }
        }

        var result = new RunResult(files.SelectMany(f => f.Tests), Stopwatch.GetElapsedTime(start), runner.FailedBlocks, failedFiles);
        report.Total(result);
        if (PassThru)
        {
            WriteObject(result);
        }
    }

    private IEnumerable<string> SpecsAt(string path)
    {
        foreach (string found in GetResolvedProviderPathFromPSPath(path, out _))
        {
            string[] specs = Directory.Exists(found) ? Directory.GetFiles(found, "*.Tests.ps1", SearchOption.AllDirectories) : [found];
            foreach (string spec in specs.Order())
            {
                yield return spec;
            }
        }
    }

    private bool IsSelected(Test test) =>
        (TagFilter.Length == 0 || test.AllTags.Any(t => IsLike(t, TagFilter)))
        && !test.AllTags.Any(t => IsLike(t, ExcludeTagFilter))
        && (FullNameFilter.Length == 0 || IsLike(test.Path, FullNameFilter));

    private static bool IsLike(string text, string[] patterns) =>
        patterns.Any(p => WildcardPattern.Get(p, WildcardOptions.IgnoreCase).IsMatch(text));
}

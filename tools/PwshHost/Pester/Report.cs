using System.Management.Automation;
using System.Management.Automation.Host;

namespace PwshHost.Pester;

/// <summary>Prints the run as it goes: each test, or only failures, or nothing.</summary>
internal sealed class Report(PSHostUserInterface ui, Verbosity verbosity)
{
    public void File(string path) => WriteLine($"\nRunning tests from '{path}'");

    public void Block(Block block)
    {
        if (verbosity == Verbosity.Detailed && !block.IsFile)
        {
            WriteLine($"{Margin(block)}{block.Keyword} {block.DisplayName}");
        }
    }

    public void Test(Test test)
    {
        if (verbosity != Verbosity.Detailed && test.Result != TestResult.Failed)
        {
            return;
        }

        string margin = Margin(test);
        string time = $"{test.Duration.TotalMilliseconds:F0}ms";
        switch (test.Result)
        {
            case TestResult.Passed:
                Write(PSStyle.Instance.Foreground.Green, $"{margin}[+] {test.DisplayName} {time}");
                break;
            case TestResult.Skipped:
                string reason = test.Error?.Exception.Message is { Length: > 0 } because ? $", because {because}" : string.Empty;
                Write(PSStyle.Instance.Foreground.Yellow, $"{margin}[!] {test.DisplayName}, is skipped{reason} {time}");
                break;
            case TestResult.Failed:
                Write(PSStyle.Instance.Foreground.Red, $"{margin}[-] {(verbosity == Verbosity.Detailed ? test.DisplayName : test.Path)} {time}");
                Error(test, test.Error!);
                break;
        }
    }

    public void BlockError(Block block, string setup, ErrorRecord error)
    {
        string margin = Margin(block) + " ";
        Write(PSStyle.Instance.Foreground.Red, $"{margin}[-] {block.DisplayName}: {setup} failed");
        Error(block, error);
    }

    public void FileError(string path, ErrorRecord error)
    {
        Write(PSStyle.Instance.Foreground.Red, $"[-] Discovery of {path} failed");
        Write(PSStyle.Instance.Foreground.Red, " " + error);
    }

    public void Total(RunResult result)
    {
        WriteLine($"Tests completed in {result.Duration.TotalSeconds:F1}s");
        WriteLine($"Tests Passed: {result.PassedCount}, Failed: {result.FailedCount}, Skipped: {result.SkippedCount}, NotRun: {result.NotRunCount}");
    }

    private void Error(Node node, ErrorRecord error)
    {
        // The frames below the spec file are the runner's.
        string spec = node.File.Name;
        string[] frames = (error.ScriptStackTrace ?? string.Empty).Split('\n');
        int last = Array.FindIndex(frames, frame => frame.Contains(spec));
        foreach (string line in error.ToString().Split('\n').Concat(frames[..(last + 1)]))
        {
            Write(PSStyle.Instance.Foreground.Red, $"{Margin(node)}  {line}");
        }
    }

    private void Write(string style, string text) => WriteLine(style + text + PSStyle.Instance.Reset);

    private void WriteLine(string text)
    {
        if (verbosity != Verbosity.None)
        {
            ui.WriteLine(text);
        }
    }

    private static string Margin(Node node) => new(' ', Math.Max(0, Depth(node) - 1));

    private static int Depth(Node node) => node.Parent is null ? 0 : Depth(node.Parent) + 1;
}

internal enum Verbosity
{
    None,
    Normal,
    Detailed,
}

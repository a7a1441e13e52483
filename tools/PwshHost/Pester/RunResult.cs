using System.Management.Automation;

namespace PwshHost.Pester;

/// <summary>What Invoke-Pester -PassThru returns.</summary>
public sealed class RunResult
{
    internal RunResult(IEnumerable<Test> tests, TimeSpan duration, int failedBlocks, int failedFiles)
    {
        Tests = [.. tests.Select(t => new TestReport(t))];
        Duration = duration;
        FailedBlocksCount = failedBlocks;
        FailedContainersCount = failedFiles;
    }

    public IReadOnlyList<TestReport> Tests { get; }

    public TimeSpan Duration { get; }

    public int TotalCount => Tests.Count;

    public int PassedCount => Count(TestResult.Passed);

    public int FailedCount => Count(TestResult.Failed);

    public int SkippedCount => Count(TestResult.Skipped);

    public int NotRunCount => Count(TestResult.NotRun);

    /// <summary>Setups and teardowns that failed.</summary>
    public int FailedBlocksCount { get; }

    /// <summary>Files that could not even be read.</summary>
    public int FailedContainersCount { get; }

    public string Result => FailedCount + FailedBlocksCount + FailedContainersCount > 0 ? "Failed" : "Passed";

    private int Count(TestResult result) => Tests.Count(t => t.Result == result.ToString());
}

/// <summary>One test's outcome.</summary>
public sealed class TestReport
{
    internal TestReport(Test test)
    {
        Name = test.Name;
        ExpandedName = test.DisplayName;
        ExpandedPath = test.Path;
        Tag = [.. test.Tags];
        Result = test.Result.ToString();
        Duration = test.Duration;
        ErrorRecord = test.Result == TestResult.Failed ? [test.Error!] : [];
    }

    public string Name { get; }

    public string ExpandedName { get; }

    public string ExpandedPath { get; }

    public string[] Tag { get; }

    /// <summary>Passed, Failed, Skipped or NotRun.</summary>
    public string Result { get; }

    public TimeSpan Duration { get; }

    public ErrorRecord[] ErrorRecord { get; }
}

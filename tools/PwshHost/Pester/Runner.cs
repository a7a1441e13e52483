using System.Diagnostics;
using System.Management.Automation;

namespace PwshHost.Pester;

/// <summary>The second phase: runs the tests of one file, each block and each test in a scope of its own.</summary>
internal sealed class Runner(Scopes scopes, Report report)
{
    /// <summary>Errors of setups and teardowns; those of a BeforeAll also fail every test below it.</summary>
    public int FailedBlocks { get; private set; }

    public void Run(Block block)
    {
        if (!block.Tests.Any(t => t.IsSelected))
        {
            return;
        }

        if (block.IsSkipped)
        {
            report.Block(block);
            Finish(block, TestResult.Skipped, null);
            return;
        }

        scopes.Enter(() => RunInScope(block));
    }

    private void RunInScope(Block block)
    {
        using TestDrive? drive = block.IsFile ? new TestDrive(scopes) : null;
        ErrorRecord? error = Attempt(() =>
        {
            scopes.SetData(block.Data);
            block.BeforeAll.ForEach(s => scopes.Run(s, block.Data));
        });
        Attempt(() => block.ExpandedName = scopes.Expand(block.Name));
        report.Block(block);

        if (error is null)
        {
            foreach (Node child in block.Children)
            {
                if (child is Block inner)
                {
                    Run(inner);
                }
                else
                {
                    Run((Test)child);
                }
            }
        }
        else if (Verdict.Is(error, Verdict.Skipped))
        {
            Finish(block, TestResult.Skipped, error);
        }
        else
        {
            FailedBlocks++;
            report.BlockError(block, "BeforeAll", error);
            Finish(block, TestResult.Failed, error);
        }

        foreach (ScriptBlock teardown in block.AfterAll)
        {
            if (Attempt(() => scopes.Run(teardown, block.Data)) is { } failure)
            {
                FailedBlocks++;
                report.BlockError(block, "AfterAll", failure);
            }
        }
    }

    private void Run(Test test)
    {
        if (!test.IsSelected)
        {
            return;
        }

        if (test.IsSkipped)
        {
            test.Result = TestResult.Skipped;
            report.Test(test);
            return;
        }

        long start = Stopwatch.GetTimestamp();
        scopes.Enter(() => test.Error = RunInScope(test));
        test.Duration = Stopwatch.GetElapsedTime(start);
        test.Result = test.Error is null ? TestResult.Passed : Verdict.Is(test.Error, Verdict.Skipped) ? TestResult.Skipped : TestResult.Failed;
        report.Test(test);
    }

    private ErrorRecord? RunInScope(Test test)
    {
        Block[] lineage = [.. test.Parent!.Lineage];
        ErrorRecord? error = Attempt(() =>
        {
            scopes.SetData(test.Data);
            test.ExpandedName = scopes.Expand(test.Name);
            foreach (ScriptBlock setup in lineage.SelectMany(b => b.BeforeEach))
            {
                scopes.Run(setup);
            }

            scopes.Run(test.Script, test.Data);
        });

        foreach (ScriptBlock teardown in lineage.Reverse().SelectMany(b => b.AfterEach))
        {
            ErrorRecord? failure = Attempt(() => scopes.Run(teardown));
            error = error is null || Verdict.Is(error, Verdict.Skipped) ? failure ?? error : error;
        }

        return error;
    }

    private void Finish(Block block, TestResult result, ErrorRecord? error)
    {
        foreach (Test test in block.Tests.Where(t => t.IsSelected))
        {
            test.Result = result;
            test.Error = error;
            report.Test(test);
        }
    }

    private static ErrorRecord? Attempt(Action action)
    {
        try
        {
            action();
            return null;
        }
        catch (PipelineStoppedException)
        {
            throw;
        }
        catch (RuntimeException error)
        {
            return error.ErrorRecord;
        }
        catch (FlowControlException)
        {
            return Verdict.Create("A break, continue or exit left the script block.", Verdict.Failed).ErrorRecord;
        }
    }
}

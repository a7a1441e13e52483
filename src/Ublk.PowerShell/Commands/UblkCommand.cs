using System.Management.Automation;
using Ublk.Control;
using Ublk.Devices;
using Ublk.Launching;

namespace Ublk.PowerShell.Commands;

/// <summary>What the cmdlets have in common: the engine's errors become records, and stopping the pipeline stops the engine.</summary>
public abstract class UblkCommand : PSCmdlet, IDisposable
{
    /// <summary>The module's folder of worker programs.</summary>
    internal static string WorkerDirectory { get; } = Path.GetFullPath(Path.Combine(
        Path.GetDirectoryName(typeof(UblkCommand).Assembly.Location)!, "..", "worker"));

    private readonly CancellationTokenSource _stop = new();
    private readonly List<string> _controlCommands = [];
    private bool _isDriverThere;
    private ProgressRecord? _progress;

    /// <summary>Cancelled when the user stops the pipeline.</summary>
    protected CancellationToken StopToken => _stop.Token;

    /// <inheritdoc/>
    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Frees what the cmdlet holds.</summary>
    protected virtual void Dispose(bool disposing)
    {
        if (disposing)
        {
            _stop.Dispose();
        }
    }

    /// <inheritdoc/>
    protected override void StopProcessing() => _stop.Cancel();

    /// <summary>Does something for one item of the pipeline. Its failure is an error of that item, unless it dooms every other.</summary>
    /// <param name="item">The error's target object.</param>
    /// <param name="action">What to do.</param>
    protected void Attempt(object? item, Action action)
    {
        try
        {
            Trace(action);
        }
        catch (UblkException exception) when (exception.Error
            is UblkError.DriverMissing or UblkError.WorkerMissing or UblkError.StateDirectoryNotWritable)
        {
            ThrowTerminatingError(UblkErrorRecord.From(exception, item));
        }
        catch (UblkException exception)
        {
            WriteError(UblkErrorRecord.From(exception, item));
        }
        catch (OperationCanceledException) when (StopToken.IsCancellationRequested)
        {
            throw new PipelineStoppedException();
        }
    }

    /// <summary>Does something that the whole pipeline needs: its failure ends the command.</summary>
    /// <param name="item">The error's target object.</param>
    /// <param name="action">What to do.</param>
    protected void Require(object? item, Action action)
    {
        try
        {
            Trace(action);
        }
        catch (UblkException exception)
        {
            ThrowTerminatingError(UblkErrorRecord.From(exception, item));
        }
    }

    /// <summary>Ends the command where there is no driver, or the caller may not use it.</summary>
    protected void RequireDriver()
    {
        if (!_isDriverThere)
        {
            Require(null, DeviceInventory.RequireDriver);
            _isDriverThere = true;
        }
    }

    /// <summary>Shows what the user should know although it works.</summary>
    private protected void WriteWarnings(LaunchResult result)
    {
        foreach (string warning in result.Warnings)
        {
            WriteWarning(warning);
        }
    }

    /// <summary>Does something that reports its steps, and shows them as progress and as verbose messages.</summary>
    /// <param name="activity">The progress bar's heading.</param>
    /// <param name="work">What to do; it is given where to report to.</param>
    protected void WithProgress(string activity, Action<Action<string>> work)
    {
        ProgressRecord progress = _progress = new ProgressRecord(0, activity, " ");
        try
        {
            work(step =>
            {
                WriteCommands();
                WriteVerbose(step);
                progress.StatusDescription = step;
                progress.PercentComplete = -1;
                WriteProgress(progress);
            });
        }
        finally
        {
            progress.RecordType = ProgressRecordType.Completed;
            WriteProgress(progress);
        }
    }

    /// <summary>Shows how much of the step that was reported last is done.</summary>
    /// <param name="percent">From 0 to 100.</param>
    private protected void ShowPercent(int percent)
    {
        _progress!.PercentComplete = percent;
        WriteProgress(_progress);
    }

    // A command of the pipeline may write only while it is its turn, so what is heard meanwhile is kept until then.
    private void Trace(Action action)
    {
        Action<string>? outer = ControlTrace.Listener;
        ControlTrace.Listener = _controlCommands.Add;
        try
        {
            action();
        }
        finally
        {
            ControlTrace.Listener = outer;
            WriteCommands();
        }
    }

    private void WriteCommands()
    {
        string[] commands = [.. _controlCommands];
        _controlCommands.Clear();
        foreach (string command in commands)
        {
            WriteDebug(command);
        }
    }
}

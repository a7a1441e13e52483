namespace Ublk.Qcow2.AtRest;

/// <summary>How far an operation on an image is, and whether it is to stop.</summary>
/// <param name="report">Called now and then with the step, the bytes done and the bytes in all, which are 0 if unknown.</param>
/// <param name="warn">Called with warnings for the user.</param>
/// <param name="stop">Cancelled when the operation is to stop.</param>
internal sealed class ImageProgress(Action<string, long, long> report, Action<string> warn, CancellationToken stop)
{
    private const long MillisecondsBetweenReports = 200;

    private string _step = "";
    private long _total;
    private long _done;
    private long _lastReport;

    /// <summary>Discards all reports.</summary>
    public static ImageProgress None { get; } = new((_, _, _) => { }, _ => { }, CancellationToken.None);

    /// <summary>Cancelled when the operation is to stop.</summary>
    public CancellationToken Stop => stop;

    /// <summary>Begins a step.</summary>
    /// <param name="step">A sentence for the user.</param>
    /// <param name="total">The bytes there are to do; 0 where that is not known.</param>
    /// <exception cref="OperationCanceledException">The operation is to stop.</exception>
    public void Begin(string step, long total = 0)
    {
        _step = step;
        _total = total;
        _done = 0;
        Report();
    }

    /// <summary>Adds to the bytes done.</summary>
    /// <exception cref="OperationCanceledException">The operation is to stop.</exception>
    public void Advance(long bytes)
    {
        stop.ThrowIfCancellationRequested();
        _done += bytes;
        if (Environment.TickCount64 - _lastReport >= MillisecondsBetweenReports)
        {
            Report();
        }
    }

    /// <summary>Something the user should know although it works.</summary>
    public void Warn(string warning) => warn(warning);

    private void Report()
    {
        stop.ThrowIfCancellationRequested();
        _lastReport = Environment.TickCount64;
        report(_step, _done, _total);
    }
}

using System.Globalization;

namespace Ublk.Launching;

/// <summary>
/// Says that a target is still being opened, as long as this process gets on with it: it computes, reads or writes. So a large repair may
/// take its time, and storage that does not answer is noticed.
/// </summary>
internal sealed class OpeningProgress : IDisposable
{
    // More than this class takes by itself.
    private const long LeastBytes = 4096;

    private readonly TimeSpan _interval;
    private readonly ManualResetEventSlim _isOpen = new();
    private readonly Thread _thread;

    /// <summary>Begins to look.</summary>
    /// <param name="report">Called on another thread whenever there was progress.</param>
    /// <param name="interval">How often to look.</param>
    public OpeningProgress(Action report, TimeSpan interval)
    {
        _interval = interval;
        _thread = new Thread(() => Watch(report)) { IsBackground = true };
        _thread.Start();
    }

    /// <summary>The target is open, or cannot be opened: nothing is reported any more.</summary>
    public void Dispose()
    {
        _isOpen.Set();
        _thread.Join();
        _isOpen.Dispose();
    }

    /// <summary>The sum of what a process has read and written, in bytes, cached or not.</summary>
    /// <param name="lines">Its /proc/PID/io (proc(5)).</param>
    internal static long Transferred(IEnumerable<string> lines) => lines.Select(line => line.Split(": "))
        .Where(fields => fields is ["rchar" or "wchar", _])
        .Sum(fields => long.Parse(fields[1], CultureInfo.InvariantCulture));

    private void Watch(Action report)
    {
        TimeSpan computed = Environment.CpuUsage.TotalTime;
        long transferred = Transferred();
        while (!_isOpen.Wait(_interval))
        {
            TimeSpan computedNow = Environment.CpuUsage.TotalTime;
            long transferredNow = Transferred();
            if (computedNow - computed >= _interval / 50 || transferredNow - transferred >= LeastBytes)
            {
                report();
            }

            computed = computedNow;
            transferred = transferredNow;
        }
    }

    private static long Transferred()
    {
        try
        {
            return Transferred(File.ReadAllLines("/proc/self/io"));
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return 0;
        }
    }
}

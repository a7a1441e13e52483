using System.Diagnostics;
using System.Management.Automation;
using Ublk.Files;
using Ublk.Images;

namespace Ublk.PowerShell.Commands;

/// <summary>What the cmdlets for images have in common: a worker does the work, and its progress is shown.</summary>
public abstract class UblkImageCommand : UblkCommand
{
    /// <summary>Does an operation in a worker of its own.</summary>
    /// <param name="operation">What to do.</param>
    /// <param name="activity">The progress bar's heading.</param>
    /// <returns>What it found out; null from operations that only change images.</returns>
    protected ImageResult? Run(ImageOperation operation, string activity)
    {
        string? step = null;
        Stopwatch clock = new();
        ProgressRecord progress = new(0, activity, " ");
        try
        {
            return ImageJob.Run(operation, WorkerDirectory, Show, WriteWarning, StopToken);
        }
        finally
        {
            progress.RecordType = ProgressRecordType.Completed;
            WriteProgress(progress);
        }

        void Show(string current, long done, long total)
        {
            if (step != current)
            {
                WriteVerbose(current);
                step = current;
                clock.Restart();
            }

            ImageRate rate = new(done, total, clock.Elapsed);
            progress.StatusDescription = rate.Describe(current);
            progress.PercentComplete = rate.Percent;
            progress.SecondsRemaining = rate.SecondsLeft;
            WriteProgress(progress);
        }
    }

    /// <summary>The image as it is now.</summary>
    protected void WriteImage(string path, ImageFormat? format = null) => WriteObject(ImageInspector.Inspect(path, format));
}

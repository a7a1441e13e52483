using System.Diagnostics;
using System.Text.Json;
using Ublk.Workers;

namespace Ublk.Images;

/// <summary>An operation on an image in a process of its own, which has the codecs and may take long.</summary>
/// <remarks>The worker reads the order from its standard input and keeps that open: its end makes the worker stop and clean up.</remarks>
public static class ImageJob
{
    /// <summary>Does an operation, to its end.</summary>
    /// <param name="operation">What to do.</param>
    /// <param name="workerDirectory">The module's folder of workers.</param>
    /// <param name="progress">Receives the progress: the step, the bytes done and the bytes in all, which are 0 if unknown.</param>
    /// <param name="warn">Called with warnings for the user.</param>
    /// <param name="stop">Cancelled when it is to stop.</param>
    /// <returns>What it found out; null from operations that only change images.</returns>
    /// <exception cref="UblkException">It failed, and left the image as it was.</exception>
    /// <exception cref="OperationCanceledException">It was to stop, and has cleared up.</exception>
    public static ImageResult? Run(
        ImageOperation operation, string workerDirectory, Action<string, long, long> progress, Action<string> warn, CancellationToken stop)
    {
        stop.ThrowIfCancellationRequested();
        using Process worker = WorkerProgram.Locate(workerDirectory).RunLimited(
            replacesFiles: operation is CreateImage { Force: true } or ConvertImage { Force: true }, WorkerArguments.Image);
        Task<string> complaints = worker.StandardError.ReadToEndAsync(CancellationToken.None);
        SendOrder(worker, operation);
        using CancellationTokenRegistration stopping = stop.Register(() => Stop(worker));
        ImageReport? last = null;
        while (worker.StandardOutput.ReadLine() is { } line)
        {
            ImageReport report = JsonSerializer.Deserialize(line, ImageJson.Default.ImageReport)!;
            last = report.IsFinished ? report : last;
            if (report.Step is { } step)
            {
                progress(step, report.Done, report.Total);
            }

            if (report.Warning is { } warning)
            {
                warn(warning);
            }
        }

        worker.WaitForExit();
        if (last is null)
        {
            stop.ThrowIfCancellationRequested();
            throw new UblkException(UblkError.WorkerDied,
                $"The worker ended before it was done with {operation.Path}, with exit code {worker.ExitCode}. "
                    + $"{complaints.Result.Trim()}".TrimEnd());
        }

        return last.Failure is { } failure ? throw failure.ToException() : last.Result;
    }

    private static void SendOrder(Process worker, ImageOperation operation)
    {
        try
        {
            worker.StandardInput.WriteLine(JsonSerializer.Serialize(operation, ImageJson.Default.ImageOperation));
            worker.StandardInput.Flush();
        }
        catch (IOException)
        {
            // It is dead already; the end of its output says so.
        }
    }

    private static void Stop(Process worker)
    {
        worker.StandardInput.Close();
        if (!worker.WaitForExit(WorkerTimeouts.Stop))
        {
            worker.Kill();
        }
    }
}

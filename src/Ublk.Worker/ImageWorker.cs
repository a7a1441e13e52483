using System.Runtime.InteropServices;
using System.Text.Json;
using Ublk.Images;
using Ublk.Qcow2.AtRest;
using Ublk.Qcow2.Compression;
using Ublk.Workers;

namespace Ublk.Worker;

/// <summary>
/// One operation on an image, for a cmdlet: the order on standard input, reports on standard output, a line of JSON each.
/// </summary>
internal static class ImageWorker
{
    /// <summary>Does what is ordered.</summary>
    /// <returns>The exit code.</returns>
    public static int Run()
    {
        if (Console.In.ReadLine() is not { } line)
        {
            return ExitCode.Usage;
        }

        ClusterCodec.AddZstd(new ZstdCodec());
        ImageOperation operation = JsonSerializer.Deserialize(line, ImageJson.Default.ImageOperation)!;
        CancellationTokenSource stop = new();
        using PosixSignalRegistration interrupt = StopOn(PosixSignal.SIGINT, stop);
        using PosixSignalRegistration terminate = StopOn(PosixSignal.SIGTERM, stop);
        using PosixSignalRegistration hangUp = StopOn(PosixSignal.SIGHUP, stop);
        new Thread(() => StopAtEnd(stop)) { IsBackground = true }.Start();
        try
        {
            ImageResult? result = operation.Run(new ImageProgress(
                (step, done, total) => Send(new ImageReport { Step = step, Done = done, Total = total }),
                warning => Send(new ImageReport { Warning = warning }),
                stop.Token));
            Send(new ImageReport { IsFinished = true, Result = result });
            return ExitCode.Done;
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            return ExitCode.Unavailable;
        }
        catch (Exception exception)
        {
            Send(new ImageReport { IsFinished = true, Failure = WorkerFailure.From(exception) });
            return ExitCode.Unavailable;
        }
    }

    private static PosixSignalRegistration StopOn(PosixSignal signal, CancellationTokenSource stop) =>
        PosixSignalRegistration.Create(signal, context =>
        {
            context.Cancel = true;
            stop.Cancel();
        });

    // The caller closes the stream, or dies, which closes it.
    private static void StopAtEnd(CancellationTokenSource stop)
    {
        while (Console.In.ReadLine() is not null)
        {
        }

        stop.Cancel();
    }

    private static void Send(ImageReport report)
    {
        try
        {
            Console.Out.WriteLine(JsonSerializer.Serialize(report, ImageJson.Default.ImageReport));
        }
        catch (IOException)
        {
            // The caller is gone, which the end of standard input shows as well.
        }
    }
}

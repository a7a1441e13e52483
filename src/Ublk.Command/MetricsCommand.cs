using System.CommandLine;
using System.Text;
using Ublk.Devices;
using Ublk.Files;
using Ublk.Measuring;

namespace Ublk.CommandLine;

/// <summary><c>ublk metrics</c>: the devices and their counters for Prometheus.</summary>
internal static class MetricsCommand
{
    // The exporter is another user.
    private const UnixFileMode Mode = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.OtherRead;

    /// <summary>The command.</summary>
    public static Command Create()
    {
        Option<string?> file = new("--output", "-o")
        {
            Description = "The file to replace with the metrics; standard output by default.", HelpName = "FILE",
        };
        Command command = new("metrics", "Shows the states and counters of all devices as metrics for Prometheus.") { file };
        command.SetAction(result =>
        {
            // Without a driver there are no devices, which is no error for a timer.
            string text = string.Concat(PrometheusText.Write(DeviceInventory.List()).Select(line => $"{line}\n"));
            if (result.GetValue(file) is { } path)
            {
                Replace(path, text);
            }
            else
            {
                result.InvocationConfiguration.Output.Write(text);
            }

            return ExitCode.Done;
        });
        return command;
    }

    // A reader sees the former file or the new one, whole.
    private static void Replace(string path, string text)
    {
        try
        {
            using NewFile file = new(path, (int)Mode);
            RandomAccess.Write(file.Handle, Encoding.UTF8.GetBytes(text), 0);
            file.Name(replace: true);
        }
        catch (IOException exception)
        {
            throw new UblkException(UblkError.OperationFailed, $"The metrics cannot be written to {path}: {exception.Message}",
                exception.HResult, "write metrics");
        }
    }
}

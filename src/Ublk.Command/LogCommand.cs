using System.CommandLine;
using Ublk.Logging;

namespace Ublk.CommandLine;

/// <summary><c>ublk log</c>: the messages of the workers, also of devices that are gone.</summary>
internal static class LogCommand
{
    /// <summary>The command.</summary>
    public static Command Create()
    {
        Option<int?> number = DeviceOption.Create("The device; all by default, also those that are gone.");
        Option<bool> json = new("--json") { Description = "Print each message as a line of JSON." };
        Command command = new("log", "Shows the messages of the workers, from the oldest.") { number, json };
        command.SetAction(result =>
        {
            foreach (UblkLogEntry entry in DeviceLog.Read(result.GetValue(number), since: null))
            {
                result.InvocationConfiguration.Output.WriteLine(result.GetValue(json) ? LogText.Json(entry) : LogText.Plain(entry));
            }

            return ExitCode.Done;
        });
        return command;
    }
}

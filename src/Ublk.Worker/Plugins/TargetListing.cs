using System.Text.Json;
using Ublk.Catalog;
using Ublk.Targets;
using Ublk.Workers;

namespace Ublk.Worker.Plugins;

/// <summary>Lists the targets of an assembly for the cmdlets, so that none of its code runs in the user's shell.</summary>
internal static class TargetListing
{
    /// <summary>Prints a <see cref="PluginReport"/> on a line.</summary>
    /// <returns>The exit code.</returns>
    public static int Print(string assembly)
    {
        PluginReport report;
        try
        {
            report = new PluginReport
            {
                Targets = [.. PluginLoader.Load(assembly)
                    .Select(target => new UblkTarget(target.Name, target.Summary, target.Options) { Assembly = assembly })],
            };
        }
        catch (UblkException exception)
        {
            report = new PluginReport { Failure = WorkerFailure.From(exception) };
        }

        Console.WriteLine(JsonSerializer.Serialize(report, PluginJson.Default.PluginReport));
        return report.Failure is null ? ExitCode.Done : ExitCode.Unavailable;
    }
}

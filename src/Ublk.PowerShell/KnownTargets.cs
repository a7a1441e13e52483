using System.Collections;
using System.Management.Automation;
using Ublk.Catalog;
using Ublk.PowerShell.Commands;
using Ublk.Targets;
using Shell = System.Management.Automation.PowerShell;

namespace Ublk.PowerShell;

/// <summary>The targets that a command line can name: the built-in ones, or those of its -Assembly.</summary>
internal static class KnownTargets
{
    /// <summary>The targets to whose disks a disk can be moved: those that are not files.</summary>
    public static IEnumerable<TargetDefinition> Destinations => TargetCatalog.All.Where(target => target.NeedsNetwork);

    /// <summary>The targets for a completer, which cannot report errors.</summary>
    public static IReadOnlyList<UblkTarget> For(IDictionary boundParameters)
    {
        if (boundParameters["Assembly"] is not string assembly)
        {
            return TargetCatalog.All;
        }

        try
        {
            return PluginCatalog.List(Path.GetFullPath(assembly, CurrentLocation()), UblkCommand.WorkerDirectory);
        }
        catch (UblkException)
        {
            return [];
        }
    }

    /// <summary>The target that a command line names, or that follows from its first file; null where it has neither.</summary>
    public static string? NameIn(IDictionary boundParameters) => boundParameters["Target"]?.ToString()
        ?? ((boundParameters["Path"] ?? boundParameters["LiteralPath"]) is { } files
            ? TargetCatalog.ForFile($"{(files is object[] and [{ } first, ..] ? first : files)}")
            : null);

    // Completers run inside a pipeline, in which the session's state can only be asked by a nested one.
    private static string CurrentLocation()
    {
        using Shell shell = Shell.Create(RunspaceMode.CurrentRunspace);
        return shell.AddScript("$ExecutionContext.SessionState.Path.CurrentFileSystemLocation.ProviderPath").Invoke<string>().Single();
    }
}

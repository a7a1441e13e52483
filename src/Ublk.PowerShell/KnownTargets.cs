using System.Collections;
using System.Management.Automation;
using System.Management.Automation.Runspaces;
using Ublk.Plugins;
using Ublk.PowerShell.Commands;
using Ublk.Targets;

namespace Ublk.PowerShell;

/// <summary>The targets a user can name: those that are built in, or those of the assembly that he names with them.</summary>
internal static class KnownTargets
{
    /// <summary>The targets for a completer, which has nobody to tell errors to.</summary>
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

    private static string CurrentLocation() =>
        Runspace.DefaultRunspace?.SessionStateProxy.Path.CurrentFileSystemLocation.ProviderPath ?? Environment.CurrentDirectory;
}

using System.Management.Automation;
using Ublk.Exports;

namespace Ublk.PowerShell;

/// <summary>Exports as users name them, with wildcards.</summary>
internal static class ExportNames
{
    /// <summary>The exports with a name.</summary>
    /// <exception cref="UblkException">The name has no wildcards, and no export has it.</exception>
    public static IReadOnlyList<UblkExport> Find(string name)
    {
        WildcardPattern pattern = new(name);
        UblkExport[] found = [.. ExportManager.List().Where(export => pattern.IsMatch(export.Name))];
        return found.Length > 0 || WildcardPattern.ContainsWildcardCharacters(name) ? found : throw ExportManager.NotFound(name);
    }
}

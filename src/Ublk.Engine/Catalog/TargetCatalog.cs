using Ublk.Targets;
using Ublk.Targets.Loop;
using Ublk.Targets.Nbd;
using Ublk.Targets.Null;
using Ublk.Targets.Qcow2;
using Ublk.Targets.Rbd;

namespace Ublk.Catalog;

/// <summary>The kinds of disk this engine can serve.</summary>
internal static class TargetCatalog
{
    /// <summary>Every target; a new one adds its line here.</summary>
    public static IReadOnlyList<TargetDefinition> All { get; } =
    [
        NullTarget.Definition,
        LoopTarget.Definition,
        Qcow2Target.Definition,
        NbdTarget.Definition,
        RbdTarget.Definition,
    ];

    /// <summary>The target of a name, in any casing.</summary>
    /// <exception cref="UblkException">No target has this name.</exception>
    public static TargetDefinition Find(string name) =>
        All.FirstOrDefault(target => string.Equals(target.Name, name, StringComparison.OrdinalIgnoreCase))
        ?? throw new UblkException(UblkError.UnknownTarget,
            $"There is no target named '{name}'. Choose one of: {string.Join(", ", All.Select(target => target.Name))}.");

    /// <summary>The target that serves a file where none is named: by the extension of its name, never by its content.</summary>
    /// <param name="path">The file.</param>
    /// <returns>Qcow2 for <c>.qcow2</c> and <c>.qcow</c>, in any casing; Loop for all others.</returns>
    public static string ForFile(string path) =>
        Path.GetExtension(path).ToUpperInvariant() is ".QCOW2" or ".QCOW" ? Qcow2Target.Definition.Name : LoopTarget.Definition.Name;
}

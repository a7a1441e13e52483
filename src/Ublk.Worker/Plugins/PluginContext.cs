using System.Diagnostics.CodeAnalysis;
using System.Reflection;
using System.Runtime.Loader;
using Ublk.Files;
using Ublk.Targets;

namespace Ublk.Worker.Plugins;

/// <summary>Where a plug-in's own libraries are found. The engine is the worker's, whatever lies beside the plug-in.</summary>
[RequiresUnreferencedCode("Loads code that is unknown when the program is built.")]
internal sealed class PluginContext(string plugin) : AssemblyLoadContext(Path.GetFileNameWithoutExtension(plugin))
{
    private static readonly string? s_engine = typeof(BlockTarget).Assembly.GetName().Name;

    private readonly AssemblyDependencyResolver _resolver = new(plugin);

    /// <inheritdoc/>
    protected override Assembly? Load(AssemblyName assemblyName) =>
        assemblyName.Name != s_engine && _resolver.ResolveAssemblyToPath(assemblyName) is { } path
            ? LoadFromAssemblyPath(PathTrust.Check(path))
            : null;

    /// <inheritdoc/>
    protected override nint LoadUnmanagedDll(string unmanagedDllName) =>
        _resolver.ResolveUnmanagedDllToPath(unmanagedDllName) is { } path ? LoadUnmanagedDllFromPath(PathTrust.Check(path)) : 0;
}

using System.Diagnostics.CodeAnalysis;
using System.Reflection;
using Ublk.Files;
using Ublk.Targets;

namespace Ublk.Worker.Plugins;

/// <summary>Finds the targets of assemblies. Only a worker that the dotnet host runs can: native code loads none.</summary>
internal static class PluginLoader
{
    private const string DefinitionName = "Definition";

    private static readonly AssemblyName s_engine = typeof(BlockTarget).Assembly.GetName();

    /// <summary>Whether this program can load assemblies; known when it is built, so that the native one has nothing of it.</summary>
    [FeatureSwitchDefinition("Ublk.Plugins")]
    [FeatureGuard(typeof(RequiresUnreferencedCodeAttribute))]
    [UnconditionalSuppressMessage("Trimming", "IL4000", Justification = "The switch is set to false where the program is trimmed.")]
    public static bool IsSupported => !AppContext.TryGetSwitch("Ublk.Plugins", out bool isOn) || isOn;

    /// <summary>The targets of an assembly.</summary>
    /// <exception cref="UblkException">It is not to be trusted, made for another engine, or has none.</exception>
    public static IReadOnlyList<TargetDefinition> Load(string path)
    {
        string file = PathTrust.Check(path);
        return IsSupported ? LoadTrusted(file) : throw Invalid(file, "this worker is native and loads no assemblies");
    }

    [RequiresUnreferencedCode("Loads code that is unknown when the program is built.")]
    private static TargetDefinition[] LoadTrusted(string file)
    {
        try
        {
            Assembly assembly = new PluginContext(file).LoadFromAssemblyPath(file);
            RequireThisEngine(file, assembly);
            TargetDefinition[] definitions = [.. assembly.GetExportedTypes().Where(IsTarget).Select(type => DefinitionOf(file, type))];
            return definitions.Length > 0
                ? definitions
                : throw Invalid(file, $"it has no public class that derives from {nameof(BlockTarget)}");
        }
        catch (BadImageFormatException)
        {
            throw Invalid(file, "it is not an assembly");
        }
        catch (Exception exception) when (exception is IOException or TypeLoadException or ReflectionTypeLoadException)
        {
            throw Invalid(file, exception.Message);
        }
    }

    // What the minor version adds, an older engine lacks; before 1.0 it may also take away.
    [RequiresUnreferencedCode("Looks at what the assembly refers to.")]
    private static void RequireThisEngine(string file, Assembly assembly)
    {
        Version ours = s_engine.Version!;
        Version? theirs = assembly.GetReferencedAssemblies().FirstOrDefault(reference => reference.Name == s_engine.Name)?.Version;
        if (theirs is null)
        {
            throw Invalid(file, $"it does not use {s_engine.Name}");
        }

        if (theirs.Major != ours.Major || theirs.Minor > ours.Minor || (ours.Major == 0 && theirs.Minor != ours.Minor))
        {
            throw Invalid(file, $"it was built for {s_engine.Name} {theirs.ToString(3)}, and this is {ours.ToString(3)}; build it again");
        }
    }

    private static bool IsTarget(Type type) => type.IsSubclassOf(typeof(BlockTarget)) && !type.IsAbstract;

    [RequiresUnreferencedCode("Looks for a property by its name.")]
    private static TargetDefinition DefinitionOf(string file, Type type)
    {
        try
        {
            object? value = type.GetProperty(DefinitionName, BindingFlags.Public | BindingFlags.Static)?.GetValue(null);
            return value as TargetDefinition ?? throw Invalid(file,
                $"{type.Name} has no public static property {DefinitionName} that returns a {nameof(TargetDefinition)}");
        }
        catch (TargetInvocationException exception)
        {
            Exception cause = exception.InnerException is TypeInitializationException { InnerException: { } inner }
                ? inner
                : exception.InnerException!;
            throw Invalid(file, $"{type.Name}.{DefinitionName} throws {cause.GetType().Name}: {cause.Message.TrimEnd('.')}");
        }
    }

    private static UblkException Invalid(string file, string why) =>
        new(UblkError.PluginInvalid, $"{file} holds no target that can be used: {why}.", operation: "load");
}

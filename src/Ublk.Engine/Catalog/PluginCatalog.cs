using System.Collections.Concurrent;
using System.Diagnostics;
using System.Text.Json;
using System.Text.Json.Serialization;
using Ublk.Targets;
using Ublk.Workers;

namespace Ublk.Catalog;

/// <summary>The targets that assemblies have. A worker lists them, so that no assembly is loaded into this process.</summary>
internal static class PluginCatalog
{
    // An assembly is asked again when it has changed.
    private static readonly ConcurrentDictionary<(string Path, DateTime Time, long Length), IReadOnlyList<UblkTarget>> s_known = new();

    /// <summary>The targets of an assembly.</summary>
    /// <param name="assembly">Its path.</param>
    /// <param name="workerDirectory">The folder of worker programs.</param>
    /// <exception cref="UblkException">It has none, is not to be trusted, or made for another engine.</exception>
    public static IReadOnlyList<UblkTarget> List(string assembly, string workerDirectory)
    {
        FileInfo file = new(assembly);
        if (!file.Exists)
        {
            throw new UblkException(UblkError.PathNotFound, $"There is no file {assembly}.");
        }

        return s_known.GetOrAdd((file.FullName, file.LastWriteTimeUtc, file.Length), _ => Ask(file.FullName, workerDirectory));
    }

    /// <summary>A target of an assembly.</summary>
    /// <exception cref="UblkException">The assembly cannot be used, or has no such target.</exception>
    public static UblkTarget Find(string assembly, string name, string workerDirectory) =>
        Find(assembly, name, List(assembly, workerDirectory));

    /// <summary>The one of a name, in any casing.</summary>
    /// <exception cref="UblkException">No target has this name.</exception>
    public static TTarget Find<TTarget>(string assembly, string name, IReadOnlyList<TTarget> targets)
        where TTarget : UblkTarget =>
        targets.FirstOrDefault(target => string.Equals(target.Name, name, StringComparison.OrdinalIgnoreCase))
        ?? throw new UblkException(UblkError.UnknownTarget,
            $"{assembly} has no target named '{name}'. Choose one of: {string.Join(", ", targets.Select(target => target.Name))}.");

    private static IReadOnlyList<UblkTarget> Ask(string assembly, string workerDirectory)
    {
        try
        {
            using Process process = WorkerProgram.LocatePortable(workerDirectory)
                .RunLimited(replacesFiles: false, WorkerArguments.Targets, assembly);
            process.StandardInput.Close();
            Task<string> errors = process.StandardError.ReadToEndAsync();
            string output = process.StandardOutput.ReadToEnd();
            string error = errors.GetAwaiter().GetResult().Trim();
            PluginReport? report = output.Length > 0 ? JsonSerializer.Deserialize(output, PluginJson.Default.PluginReport) : null;
            return report is null
                ? throw new UblkException(UblkError.PluginInvalid, $"{assembly} ended the process that looked at it: {error}",
                    operation: "load")
                : report.Failure is { } failure ? throw failure.ToException() : report.Targets;
        }
        catch (JsonException)
        {
            throw new UblkException(UblkError.PluginInvalid, $"{assembly} wrote something when it was looked at, which it must not.",
                operation: "load");
        }
    }
}

/// <summary>A worker's description of an assembly.</summary>
internal sealed record PluginReport
{
    /// <summary>Its targets.</summary>
    public IReadOnlyList<UblkTarget> Targets { get; init; } = [];

    /// <summary>Why it cannot be used, or null.</summary>
    public WorkerFailure? Failure { get; init; }
}

/// <summary>How they are written: compiled in, since the worker has no reflection.</summary>
[JsonSourceGenerationOptions(DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull, RespectNullableAnnotations = true)]
[JsonSerializable(typeof(PluginReport))]
internal sealed partial class PluginJson : JsonSerializerContext;

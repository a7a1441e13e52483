using System.Runtime.CompilerServices;

namespace Ublk.Tests;

/// <summary>The worker program as the build made it for the dotnet host.</summary>
internal static class BuiltWorker
{
    /// <summary>Its folder.</summary>
    public static string Folder { get; } = Find();

    /// <summary>The program and the arguments that come before the verb.</summary>
    public static IReadOnlyList<string> Command { get; } = [Environment.ProcessPath!, $"{Folder}/ublk-worker.dll"];

    private static string Find([CallerFilePath] string source = "")
    {
        // The same configuration as that of the tests: bin/CONFIGURATION/net10.0.
        string built = AppContext.BaseDirectory.TrimEnd('/');
        string relative = Path.Combine(Path.GetFileName(Path.GetDirectoryName(built)!), Path.GetFileName(built));
        return Path.GetFullPath(Path.Combine(Path.GetDirectoryName(source)!, "../../src/Ublk.Worker/bin", relative));
    }
}

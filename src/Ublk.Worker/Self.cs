namespace Ublk.Worker;

/// <summary>How to start this very program again: natively, or by the dotnet host that runs it.</summary>
internal static class Self
{
    /// <summary>The executable.</summary>
    public static string File { get; } = Environment.ProcessPath!;

    /// <summary>The arguments to give it.</summary>
    public static IEnumerable<string> Arguments(string verb, params string[] rest)
    {
        bool isHosted = Path.GetFileNameWithoutExtension(File) == "dotnet";
        string[] program = isHosted ? [Path.Combine(AppContext.BaseDirectory, "ublk-worker.dll")] : [];
        return [.. program, verb, .. rest];
    }
}

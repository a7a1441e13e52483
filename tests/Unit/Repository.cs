namespace Ublk.Tests;

/// <summary>The sources these tests were built from.</summary>
internal static class Repository
{
    /// <summary>Its folder.</summary>
    public static string Root { get; } = Find(AppContext.BaseDirectory);

    private static string Find(string directory) =>
        File.Exists(Path.Combine(directory, "Ublk.psd1")) ? directory : Find(Path.GetDirectoryName(directory)!);
}

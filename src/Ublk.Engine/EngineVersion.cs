using System.Reflection;

namespace Ublk;

/// <summary>The version of the engine, and so of the program that contains it.</summary>
internal static class EngineVersion
{
    /// <summary>The version without the commit that it was built from.</summary>
    public static string Text { get; } = typeof(EngineVersion).Assembly
        .GetCustomAttribute<AssemblyInformationalVersionAttribute>()!.InformationalVersion.Split('+')[0];
}

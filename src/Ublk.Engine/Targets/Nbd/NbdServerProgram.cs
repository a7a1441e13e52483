namespace Ublk.Targets.Nbd;

/// <summary>Where servers are found that disks start: a worker has next to no environment.</summary>
internal static class NbdServerProgram
{
    /// <summary>The folders of programs that a name without a folder is looked for in; root's own.</summary>
    public const string SearchPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

    /// <summary>What a server gets of the worker's environment, where it is there.</summary>
    public static IReadOnlyList<string> KeptVariables { get; } = ["XDG_RUNTIME_DIR", "HOME", "DOTNET_ROOT"];

    /// <summary>The file of a program.</summary>
    /// <exception cref="UblkException">The program does not exist.</exception>
    public static string Find(string program)
    {
        if (Path.IsPathRooted(program))
        {
            return program;
        }

        if (program.Contains('/', StringComparison.Ordinal))
        {
            throw new UblkException(UblkError.InvalidArgument,
                $"'{program}' is a relative path, and a worker has no current folder. Give the absolute path.");
        }

        return SearchPath.Split(':').Select(folder => $"{folder}/{program}").FirstOrDefault(File.Exists)
            ?? throw new UblkException(UblkError.PathNotFound, $"There is no program {program} in {SearchPath}.", operation: "open");
    }
}

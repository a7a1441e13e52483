namespace Ublk.CommandLine;

/// <summary>Where the worker program is that belongs to this command.</summary>
internal static class WorkerFolder
{
    /// <summary>The folder of workers that has this program in its folder for this platform, or else this program's own folder.</summary>
    public static string Path
    {
        get
        {
            DirectoryInfo own = new FileInfo(Environment.ProcessPath!).Directory!;
            return (own.Name.StartsWith("linux-", StringComparison.Ordinal) ? own.Parent! : own).FullName;
        }
    }
}

namespace Ublk.CommandLine;

/// <summary>The worker program that belongs to this command.</summary>
internal static class Workers
{
    /// <summary>The folder of workers that has this program in its folder for this platform, or else this program's own folder.</summary>
    public static string Directory
    {
        get
        {
            string own = Path.GetDirectoryName(Environment.ProcessPath)!;
            return Path.GetFileName(own).StartsWith("linux-", StringComparison.Ordinal) ? Path.GetDirectoryName(own)! : own;
        }
    }
}

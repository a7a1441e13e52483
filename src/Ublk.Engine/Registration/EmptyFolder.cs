namespace Ublk.Registration;

/// <summary>A folder that is kept as long as there is something in it.</summary>
internal static class EmptyFolder
{
    /// <summary>Removes a folder that is there and empty.</summary>
    public static void Remove(string path)
    {
        if (Directory.Exists(path) && !Directory.EnumerateFileSystemEntries(path).Any())
        {
            Directory.Delete(path);
        }
    }
}

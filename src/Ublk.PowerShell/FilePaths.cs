using System.Collections.ObjectModel;
using System.Management.Automation;
using Ublk.Files;
using DriveNotFoundException = System.Management.Automation.DriveNotFoundException;

namespace Ublk.PowerShell;

/// <summary>Paths as PowerShell users give them, turned into absolute ones of the file system.</summary>
internal static class FilePaths
{
    private const string FileSystem = "FileSystem";

    /// <summary>The files a path with wildcards names.</summary>
    /// <exception cref="UblkException">The file does not exist, or the path is not one of the file system.</exception>
    public static IReadOnlyList<string> Expand(SessionState session, string path)
    {
        try
        {
            Collection<string> files = session.Path.GetResolvedProviderPathFromPSPath(path, out ProviderInfo provider);
            RequireFileSystem(path, provider);
            return files.Count > 0 ? files : throw NotFound(path);
        }
        catch (ItemNotFoundException)
        {
            throw NotFound(path);
        }
        catch (Exception exception) when (exception is DriveNotFoundException or ProviderNotFoundException)
        {
            throw NotAFile(path, exception.Message);
        }
    }

    /// <summary>A path taken as it is; nothing need be there.</summary>
    /// <exception cref="UblkException">The path is not one of the file system.</exception>
    public static string Resolve(SessionState session, string path)
    {
        try
        {
            string file = session.Path.GetUnresolvedProviderPathFromPSPath(path, out ProviderInfo provider, out _);
            RequireFileSystem(path, provider);
            return file;
        }
        catch (Exception exception) when (exception is DriveNotFoundException or ProviderNotFoundException)
        {
            throw NotAFile(path, exception.Message);
        }
    }

    /// <summary>A path taken as it is, of something that is there.</summary>
    /// <exception cref="UblkException">There is nothing, or the path is not one of the file system.</exception>
    public static string ResolveExisting(SessionState session, string path)
    {
        string file = Resolve(session, path);
        return Path.Exists(file) ? file : throw NotFound(file);
    }

    /// <summary>
    /// The name of a backing file as an image records it: relative to the image's folder if it was given relative, so that both can be
    /// moved together.
    /// </summary>
    /// <param name="session">The session, whose location a relative path is relative to.</param>
    /// <param name="image">The image, by its absolute path.</param>
    /// <param name="backing">The backing file as the user gave it.</param>
    /// <exception cref="UblkException">There is no such file.</exception>
    public static string NameFrom(SessionState session, string image, string backing)
    {
        string path = ResolveExisting(session, backing);
        return Path.IsPathRooted(backing) ? path : ImageReference.RelativeName(image, path);
    }

    private static void RequireFileSystem(string path, ProviderInfo provider)
    {
        if (provider.Name != FileSystem)
        {
            throw NotAFile(path, $"It belongs to the provider {provider.Name}.");
        }
    }

    private static UblkException NotFound(string path) => new(UblkError.PathNotFound, $"There is no file {path}.");

    private static UblkException NotAFile(string path, string reason) =>
        new(UblkError.InvalidBackingFile, $"{path} is not a file system path. {reason}");
}

using System.Text;
using Ublk.Files;
using Ublk.Interop;
using Ublk.Workers;

namespace Ublk.Registration;

/// <summary>What registered devices share: the template of their units and the worker that it runs, in places without a version.</summary>
/// <remarks>A package brings both. Without one the template is copied from the module, and links lead to the module's workers.</remarks>
internal static class UnitTemplate
{
    /// <summary>A folder of workers: the package's, or links to the module's.</summary>
    public const string WorkerFolder = "/usr/lib/ublk";

    /// <summary>The program that the template runs.</summary>
    public const string Worker = $"{WorkerFolder}/ublk-worker";

    private const string Name = "ublk@.service";
    private const string Own = $"{RegistrationText.UnitFolder}/{Name}";

    private const UnixFileMode FileMode =
        UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.OtherRead;

    // Where packages put units, and where others that are installed below /usr/local have theirs (systemd.unit(5)).
    private static readonly string[] s_packageFolders =
        ["/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"];

    private static bool IsPackaged => s_packageFolders.Any(folder => File.Exists($"{folder}/{Name}"));

    private static bool IsOwnThere =>
        File.Exists(Own) && File.ReadAllText(Own).StartsWith(RegistrationText.Head, StringComparison.Ordinal);

    private static IEnumerable<string> OwnLinks => new[] { Worker, WorkerProgram.PortableFolder(WorkerFolder) }.Where(IsOwnLink);

    /// <summary>Puts in place what no package brings. Links to another module lead to this one from now on.</summary>
    /// <param name="workerDirectory">The module's folder of worker programs.</param>
    /// <exception cref="UblkException">Others could change the module's workers, or a path cannot be written in a unit.</exception>
    /// <exception cref="IOException">A file cannot be written.</exception>
    public static void Install(string workerDirectory)
    {
        // One of an administrator's own is left alone.
        if (!IsPackaged && (IsOwnThere || !File.Exists(Own)))
        {
            NewFile.Replace(Own, Encoding.UTF8.GetBytes(TextFor(workerDirectory)), FileMode);
        }
        else if (IsOwnThere)
        {
            File.Delete(Own);
        }

        foreach ((string link, string target) in LinksTo(workerDirectory).Where(each => IsOwnLink(each.Link) || !Path.Exists(each.Link)))
        {
            // Root runs it at each boot, so only root may be able to change it.
            PathTrust.Check(target);
            PublicFolder.Create(WorkerFolder);
            string temporary = $"{link}.new";
            File.Delete(temporary);
            File.CreateSymbolicLink(temporary, target);
            int errno = Libc.Rename(temporary, link, 0);
            if (errno != 0)
            {
                throw UblkException.FromErrno(errno, "rename", $"Cannot make the link {link}");
            }
        }
    }

    /// <summary>Whether another module put them in place, or another version of this one.</summary>
    /// <param name="workerDirectory">The module's folder of worker programs.</param>
    public static bool IsOfAnotherModule(string workerDirectory) =>
        (IsOwnThere && File.ReadAllText(Own) != TextFor(workerDirectory))
        || (OwnLinks.Any() && LinksTo(workerDirectory).Any(each => IsOwnLink(each.Link) && TargetOf(each.Link) != each.Target));

    /// <summary>Removes what <see cref="Install"/> put in place.</summary>
    public static void Remove()
    {
        if (IsOwnThere)
        {
            File.Delete(Own);
        }

        foreach (string link in OwnLinks)
        {
            File.Delete(link);
        }

        EmptyFolder.Remove(WorkerFolder);
    }

    /// <summary>The module's template, with what it needs where its worker is a link into the module.</summary>
    internal static string TextFor(string workerDirectory) => RegistrationText.Head + "\n"
        + File.ReadAllText(Path.Combine(workerDirectory, "..", "systemd", Name)).Replace(
            "RequiresMountsFor=", $"RequiresMountsFor={RegistrationText.Quote(workerDirectory)} ", StringComparison.Ordinal);

    private static IEnumerable<(string Link, string Target)> LinksTo(string workerDirectory)
    {
        if (WorkerProgram.Locate(workerDirectory).Command is [string native])
        {
            yield return (Worker, native);
        }

        if (Directory.Exists(WorkerProgram.PortableFolder(workerDirectory)))
        {
            yield return (WorkerProgram.PortableFolder(WorkerFolder), WorkerProgram.PortableFolder(workerDirectory));
        }
    }

    // Those of a package lead to files of the same tree, so they are relative.
    private static bool IsOwnLink(string path) => TargetOf(path) is ['/', ..];

    private static string? TargetOf(string path) => new FileInfo(path).LinkTarget;
}

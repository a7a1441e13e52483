using System.Text;
using Ublk.Control;
using Ublk.Files;
using Ublk.Interop;
using Ublk.Processes;
using Ublk.Workers;

namespace Ublk.Registration;

/// <summary>
/// The udev rules that open the control node to ordinary users, and set the owner of a device's nodes.
/// </summary>
internal static class UdevRules
{
    /// <summary>The rules' file for this machine.</summary>
    public const string Path = "/etc/udev/rules.d/59-ublk.rules";

    // udev runs it as root, so it must not lie in a module that somebody else can write.
    internal const string Helper = "/usr/local/lib/ublk/ublk-worker";

    private const UnixFileMode NodeMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    private const UnixFileMode HelperMode = NodeMode | UnixFileMode.UserExecute
        | UnixFileMode.GroupRead | UnixFileMode.GroupExecute | UnixFileMode.OtherRead | UnixFileMode.OtherExecute;

    // Where udev looks for rules (udev(7)), a distribution's own included.
    private static readonly string[] Directories =
        ["/etc/udev/rules.d", "/run/udev/rules.d", "/usr/local/lib/udev/rules.d", "/usr/lib/udev/rules.d"];

    /// <summary>Puts the rules and the program they run in place, and applies them to the nodes there are.</summary>
    /// <param name="source">The module's file of rules.</param>
    /// <param name="group">The group whose members may open the control node; null for every user.</param>
    /// <param name="workerDirectory">The module's folder of worker programs.</param>
    /// <exception cref="UblkException">The caller is not root, or udev does not run; nothing is left behind.</exception>
    public static void Install(string source, string? group, string workerDirectory)
    {
        RequireRoot();
        string rules = WithGroup(File.ReadAllText(source), group);
        string worker = WorkerProgram.Locate(workerDirectory).NativeFile;
        try
        {
            // As a whole, since udev may be running or reading the old one.
            NewFile.Replace(Helper, File.ReadAllBytes(worker), HelperMode);
            NewFile.Replace(Path, Encoding.UTF8.GetBytes(rules), NodeMode | UnixFileMode.GroupRead | UnixFileMode.OtherRead);
            Apply();
        }
        catch (Exception exception)
        {
            Delete();
            throw exception is IOException or UnauthorizedAccessException
                ? new UblkException(UblkError.OperationFailed, $"The rules of udev cannot be written: {exception.Message}")
                : exception;
        }
    }

    /// <summary>Removes the rules, and closes the control node to ordinary users. Their devices stay theirs.</summary>
    /// <exception cref="UblkException">The caller is not root, or udev does not run.</exception>
    public static void Uninstall()
    {
        RequireRoot();
        Delete();

        // Without a rule for it, udev leaves the node as it is.
        if (File.Exists(ControlDevice.Path))
        {
            File.SetUnixFileMode(ControlDevice.Path, NodeMode);
        }

        Apply();
    }

    /// <summary>Checks that udev gives users their devices: a device without would be beyond its owner's reach, and stay.</summary>
    /// <exception cref="UblkException">It does not.</exception>
    internal static void RequireInstalled()
    {
        if (!File.Exists("/run/udev/control")
            || !Directories.Any(directory => File.Exists($"{directory}/{System.IO.Path.GetFileName(Path)}")))
        {
            throw new UblkException(UblkError.PermissionDenied,
                "udev does not give ordinary users their ublk devices here. Ask root to run Install-UblkUdevRule.", operation: "udev");
        }
    }

    /// <summary>The rules with the control node open to a group instead of every user.</summary>
    /// <exception cref="UblkException">There is no such group.</exception>
    internal static string WithGroup(string rules, string? group)
    {
        const string everyone = "MODE=\"0666\"";
        if (group is null)
        {
            return rules;
        }

        if (group.Length == 0 || !group.All(letter => char.IsAsciiLetterOrDigit(letter) || letter is '_' or '-' or '.')
            || !ExternalProgram.TryRun("getent", ["group", group], out _))
        {
            throw new UblkException(UblkError.InvalidArgument, $"There is no group '{group}'. List the groups: getent group");
        }

        return rules.Replace(everyone, $"GROUP=\"{group}\", MODE=\"0660\"", StringComparison.Ordinal);
    }

    private static void RequireRoot()
    {
        if (Libc.GetEffectiveUserId() != 0)
        {
            throw new UblkException(UblkError.PermissionDenied, "Only root may change the rules of udev. Run as root.", operation: "udev");
        }
    }

    private static void Delete()
    {
        File.Delete(Path);

        // An installation from the tarball has its programs in the same folder.
        if (File.Exists(Helper))
        {
            File.Delete(Helper);
            EmptyFolder.Remove(System.IO.Path.GetDirectoryName(Helper)!);
        }
    }

    private static void Apply()
    {
        Run("control", "--reload");
        Run("trigger", "--action=change", "--sysname-match=ublk*", "--settle");
    }

    private static void Run(params string[] arguments)
    {
        if (!ExternalProgram.TryRun("udevadm", arguments, out string error))
        {
            throw new UblkException(UblkError.OperationFailed,
                $"udev cannot reload its rules: {error} Check that it is installed and runs.", operation: "udevadm");
        }
    }
}

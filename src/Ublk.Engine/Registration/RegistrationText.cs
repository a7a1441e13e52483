using System.Globalization;
using System.Text;
using Ublk.Catalog;
using Ublk.Devices;
using Ublk.Files;
using Ublk.Images;
using Ublk.Specification;
using Ublk.Targets;
using Ublk.Workers;

namespace Ublk.Registration;

/// <summary>The systemd unit and the udev rule of a registered device.</summary>
internal static class RegistrationText
{
    private const string Head = "# Made by Register-UblkDevice. Unregister-UblkDevice removes it.";

    /// <summary>The unit.</summary>
    /// <param name="registration">The registration.</param>
    /// <param name="specification">The device.</param>
    /// <param name="program">The worker program, and what comes before the verb.</param>
    /// <exception cref="UblkException">A path cannot be written in a unit.</exception>
    public static string Unit(UblkRegistration registration, DeviceSpecification specification, IEnumerable<string> program)
    {
        string[] command = [.. program, WorkerArguments.Attach, registration.SpecificationPath];
        string[] backing = [.. BackingPaths(specification)];
        string devices = string.Concat(backing.Where(IsDevice).Select(path => $" {DeviceUnit(path)}"));
        string files = string.Join(' ', command.Where(Path.IsPathRooted).Concat(backing.Where(path => !IsDevice(path))).Select(Quote));
        string requires = devices.Length > 0 ? $"\nRequires={devices.TrimStart()}" : "";
        bool needsNetwork = specification.Assembly is null && TargetCatalog.Find(specification.Target).NeedsNetwork;
        string network = needsNetwork ? " network-online.target" : "";
        return $"""
            {Head}
            [Unit]
            Description=ublk device {registration.Name}
            # Early enough for the file systems of /etc/fstab. Nothing stops it at shutdown but the unmounting of what it needs.
            DefaultDependencies=no
            IgnoreOnIsolate=yes
            Wants=modprobe@ublk_drv.service{network}
            After=modprobe@ublk_drv.service systemd-remount-fs.service{network}{devices}{requires}
            RequiresMountsFor={files}

            [Service]
            Type=notify
            ExecStart={string.Join(' ', command.Select(Quote)).Replace("$", "$$", StringComparison.Ordinal)}
            WorkingDirectory=/
            PrivateMounts=yes
            # Its end is the device's, unless it is killed: the worker then serves on.
            KillMode=process
            # Opening takes as long as it goes on; the worker is given up when it does not.
            TimeoutStartSec=infinity
            OOMScoreAdjust=-1000
            OOMPolicy=continue
            {string.Join('\n', WorkerPrivileges.UnitSettings)}
            SyslogIdentifier=ublk

            [Install]
            WantedBy=multi-user.target

            """;
    }

    /// <summary>The rule: systemd waits for a device of /etc/fstab until udev announces it, by the name in that file.</summary>
    public static string Rule(UblkRegistration registration) => $$"""
        {{Head}}
        SUBSYSTEM=="block", KERNEL=="ublkb*", ENV{DEVTYPE}=="disk", ACTION!="remove", \
          PROGRAM="/bin/grep -qF '\"DeviceName\":\"{{registration.Name}}\"' {{StateDirectory.PathFor(0, null)}}/%n.json", \
          SYMLINK+="{{registration.Symlink["/dev/".Length..]}}"

        """;

    /// <summary>The name of a device's unit, as systemd-escape(1) makes it.</summary>
    internal static string DeviceUnit(string path)
    {
        StringBuilder name = new();
        foreach (byte letter in Encoding.UTF8.GetBytes(path.Trim('/')))
        {
            bool isPlain = char.IsAsciiLetterOrDigit((char)letter) || letter is (byte)':' or (byte)'_'
                || (letter == '.' && name.Length > 0);
            _ = letter == '/' ? name.Append('-')
                : isPlain ? name.Append((char)letter)
                : name.Append(CultureInfo.InvariantCulture, $"\\x{letter:x2}");
        }

        return $"{name}.device";
    }

    private static bool IsDevice(string path) => path.StartsWith("/dev/", StringComparison.Ordinal);

    private static IEnumerable<string> BackingPaths(DeviceSpecification specification)
    {
        IEnumerable<string> target = specification.Assembly is { } assembly
            // What its options mean is not known here; a path among them is where a mount can be waited for.
            ? specification.Options.Values.Where(Path.IsPathRooted).Prepend(assembly)
            : PathsOf(TargetCatalog.Find(specification.Target).Options, specification.Options)
                .SelectMany(path => ImageFiles.Behind(path).Prepend(path));
        IEnumerable<string> filters =
            specification.Filters.SelectMany(filter => PathsOf(FilterCatalog.Find(filter.Name).Options, filter.Options));
        return target.Concat(filters).SelectMany(WithReal).Distinct();
    }

    private static IEnumerable<string> PathsOf(IReadOnlyList<TargetOption> options, IReadOnlyDictionary<string, string> values) =>
        values.Where(value => TargetOption.Find(options, value.Key)?.Kind == TargetOptionKind.Path).Select(value => value.Value);

    // systemd follows no links: where one leads to another file system, that is waited for as well.
    private static IEnumerable<string> WithReal(string path)
    {
        string? folder = Path.GetDirectoryName(path);
        return IsDevice(path) ? [path]
            : RealPath.Of(path) is { } real ? [path, real]
            : folder is not null && RealPath.Of(folder) is { } realFolder ? [path, Path.Combine(realFolder, Path.GetFileName(path))]
            : [path];
    }

    // systemd.syntax(7): words in quotes, a backslash before what would end them, and % for itself twice.
    private static string Quote(string word)
    {
        if (word.Any(char.IsControl))
        {
            throw new UblkException(UblkError.InvalidArgument, $"A unit of systemd cannot name '{word}', which has a control character.");
        }

        string escaped = word.Replace("%", "%%", StringComparison.Ordinal);
        return escaped.All(letter => char.IsLetterOrDigit(letter) || "/._-+@%:,$".Contains(letter, StringComparison.Ordinal))
            ? escaped
            : $"\"{escaped.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal)}\"";
    }
}

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
    /// <summary>Where the administrator's units are.</summary>
    internal const string UnitFolder = "/etc/systemd/system";

    /// <summary>The first line of each file.</summary>
    internal const string Head = "# Made by Register-UblkDevice. Unregister-UblkDevice removes it.";

    /// <summary>What a device's unit has beyond the template: what the disk needs, and a worker of its own; null for nothing.</summary>
    /// <param name="registration">The registration.</param>
    /// <param name="specification">The device.</param>
    /// <param name="program">The worker program, and what comes before the verb.</param>
    /// <exception cref="UblkException">A path cannot be written in a unit.</exception>
    public static string? DropIn(UblkRegistration registration, DeviceSpecification specification, IReadOnlyList<string> program)
    {
        bool hasOwnWorker = program is not [UnitTemplate.Worker];
        string[] backing = [.. BackingPaths(specification)];
        string[] devices = [.. backing.Where(IsDevice).Select(DeviceUnit)];
        IEnumerable<string> files = backing.Where(path => !IsDevice(path));
        bool needsNetwork = specification.Assembly is null && TargetCatalog.Find(specification.Target).NeedsNetwork;
        string[] network = needsNetwork ? ["network-online.target"] : [];
        string[] unit =
        [
            .. Setting("Wants", network),
            .. Setting("After", [.. network, .. devices]),
            .. Setting("Requires", devices),
            .. Setting("RequiresMountsFor", [.. (hasOwnWorker ? program.Concat(files) : files).Select(Quote)]),
        ];
        if (unit is [])
        {
            return null;
        }

        // The empty one takes back the template's.
        string[] service = hasOwnWorker
            ? ["", "[Service]", "ExecStart=", $"ExecStart={Command([.. program, WorkerArguments.Attach, registration.SpecificationPath])}"]
            : [];
        return string.Concat(((string[])[Head, "[Unit]", .. unit, .. service]).Select(line => line + "\n"));
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

    private static string[] Setting(string name, string[] values) => values is [] ? [] : [$"{name}={string.Join(' ', values)}"];

    private static string Command(IEnumerable<string> words) =>
        string.Join(' ', words.Select(Quote)).Replace("$", "$$", StringComparison.Ordinal);

    // systemd.syntax(7): words in quotes, a backslash before what would end them, and % for itself twice.
    internal static string Quote(string word)
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

using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using Ublk.Catalog;
using Ublk.Devices;
using Ublk.Files;
using Ublk.Lifecycle;
using Ublk.Processes;
using Ublk.Specification;
using Ublk.Workers;

namespace Ublk.Registration;

/// <summary>Devices that systemd makes at boot: their units, and what these need.</summary>
internal static class DeviceRegistrar
{
    /// <summary>Where registered devices are described.</summary>
    internal const string Folder = "/etc/ublk";

    /// <summary>What the names of their files end in.</summary>
    internal const string Extension = ".json";

    private const UnixFileMode Readable =
        UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.OtherRead;

    // With room for what the names of units put around it.
    private const int MaxNameLength = 64;

    /// <summary>The registrations there are, by name.</summary>
    public static IReadOnlyList<UblkRegistration> List() => [.. Names().Order().Select(Describe)];

    /// <summary>Describes a device and enables its unit. It is not started.</summary>
    /// <param name="name">The registration's name and the device's.</param>
    /// <param name="specification">The device, which was checked; its name is not read.</param>
    /// <param name="workerDirectory">The module's folder of worker programs.</param>
    /// <exception cref="UblkException">It could not be registered; nothing of it is left.</exception>
    public static UblkRegistration Register(string name, DeviceSpecification specification, string workerDirectory)
    {
        CheckName(name);

        // Root runs it at each boot, so only root may be able to change it.
        foreach (string file in WorkerProgram.Locate(workerDirectory, specification).Command)
        {
            PathTrust.Check(file);
        }

        RequireServiceManager();
        UblkRegistration registration = Describe(name, specification);
        List<string> written = [];
        try
        {
            Write(registration.SpecificationPath, Serialize(specification));
            UnitTemplate.Install(workerDirectory);
            IReadOnlyList<string> program = WorkerProgram.Locate(UnitTemplate.WorkerFolder, specification).Command;
            if (RegistrationText.DropIn(registration, specification, program) is { } dropIn)
            {
                Write(registration.DropInPath, dropIn);
            }

            Write(registration.RulePath, RegistrationText.Rule(registration));
            ServiceManager.Control("--quiet", "enable", registration.Unit);
            ReloadRules();
            return registration;
        }
        catch (Exception exception) when (exception is UblkException or IOException or UnauthorizedAccessException)
        {
            if (written is not [])
            {
                ServiceManager.TryControl(out _, "--quiet", "--no-reload", "disable", registration.Unit);
            }

            Delete(registration, written);
            ServiceManager.TryControl(out _, "daemon-reload");
            throw exception is UblkException ? exception : Unwritable(exception);
        }

        void Write(string path, string text)
        {
            PublicFolder.Create(Path.GetDirectoryName(path)!);
            if (Path.Exists(path))
            {
                throw new UblkException(UblkError.RegistrationExists,
                    $"{path} already exists. Unregister it first (Unregister-UblkDevice {name}), or choose another name.");
            }

            written.Add(path);
            File.WriteAllText(path, text);
        }
    }

    /// <summary>The specification of a registered device; null where there is none of this name that can be read.</summary>
    public static DeviceSpecification? TryRead(string name)
    {
        string path = PathOf(name);
        try
        {
            return File.Exists(path) ? Read(path) : null;
        }
        catch (UblkException)
        {
            return null;
        }
    }

    /// <summary>Has a registered device have another disk at the next boot. The file is whole and durable at any moment.</summary>
    /// <exception cref="UblkException">The file cannot be written; it is as it was.</exception>
    public static void Replace(string name, DeviceSpecification specification)
    {
        UblkRegistration registration = Describe(name, specification);
        IReadOnlyList<string> program = WorkerProgram.Locate(UnitTemplate.WorkerFolder, specification).Command;
        try
        {
            // The drop-in first: without the specification it changes no disk.
            string text = Serialize(specification with { Name = null });
            if (RegistrationText.DropIn(registration, specification, program) is { } dropIn)
            {
                NewFile.Replace(registration.DropInPath, Encoding.UTF8.GetBytes(dropIn), Readable);
            }

            NewFile.Replace(registration.SpecificationPath, Encoding.UTF8.GetBytes(text), Readable);

            ServiceManager.TryControl(out _, "daemon-reload");
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw Unwritable(exception);
        }
    }

    /// <summary>Has all registered devices start with a module's worker from now on.</summary>
    /// <param name="workerDirectory">The module's folder of worker programs.</param>
    /// <exception cref="UblkException">They cannot.</exception>
    public static void Renew(string workerDirectory)
    {
        try
        {
            UnitTemplate.Install(workerDirectory);
            ServiceManager.TryControl(out _, "daemon-reload");
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw Unwritable(exception);
        }
    }

    /// <summary>Starts a registration's unit, which creates the device, and waits until the device is live.</summary>
    /// <exception cref="UblkException">The device could not be created; it stays registered.</exception>
    public static void Start(UblkRegistration registration)
    {
        try
        {
            ServiceManager.Control("start", registration.Unit);
        }
        catch (UblkException exception)
        {
            throw new UblkException(exception.Error,
                $"{registration.Name} is registered, but could not be started: {exception.Message} See journalctl "
                    + $"--unit={registration.Unit}, then run: systemctl start {registration.Unit}, or Unregister-UblkDevice "
                    + registration.Name,
                operation: "start");
        }
    }

    /// <summary>Disables a unit and removes it.</summary>
    /// <param name="registration">The registration.</param>
    /// <param name="stop">Whether to stop it if it runs, and to remove its device.</param>
    /// <exception cref="UblkException">It runs, or could not be removed.</exception>
    public static void Unregister(UblkRegistration registration, bool stop)
    {
        RequireServiceManager();
        if (stop)
        {
            ServiceManager.Control("stop", registration.Unit);
            if (FindDevice(registration.Name) is { } left)
            {
                DeviceRemover.Remove(left.Id, force: true, noWait: false, step: null, CancellationToken.None);
            }
        }
        else if (ServiceManager.TryControl(out _, "--quiet", "is-active", registration.Unit) || FindDevice(registration.Name) is not null)
        {
            throw new UblkException(UblkError.DeviceInUse,
                $"{registration.Symlink} exists. Unmount it, then stop it: Unregister-UblkDevice {registration.Name} -Stop");
        }

        try
        {
            ServiceManager.Control("--quiet", "--no-reload", "disable", registration.Unit);
            Delete(registration, registration.Files);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw Unwritable(exception);
        }

        ServiceManager.Control("daemon-reload");
        ServiceManager.TryControl(out _, "reset-failed", registration.Unit);
        ReloadRules();
    }

    /// <summary>Writes a specification for people to read.</summary>
    internal static string Serialize(DeviceSpecification specification) =>
        JsonSerializer.Serialize(specification, RegistrationJson.Default.DeviceSpecification) + "\n";

    /// <summary>Reads the specification of a registered device, whose name is the file's.</summary>
    /// <exception cref="UblkException">It cannot be read, or makes no sense.</exception>
    internal static DeviceSpecification Read(string path)
    {
        try
        {
            DeviceSpecification specification = Deserialize(File.ReadAllText(path));
            SpecificationCheck.Run(specification);
            return specification with { Name = Path.GetFileNameWithoutExtension(path) };
        }
        catch (Exception exception) when (exception is JsonException or UblkException)
        {
            throw new UblkException(UblkError.InvalidArgument, $"{path} does not describe a device: {exception.Message}");
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new UblkException(
                exception is UnauthorizedAccessException ? UblkError.PermissionDenied : UblkError.OperationFailed,
                $"Cannot read {path}: {exception.Message}");
        }
    }

    // Values that a hand-written file leaves out get the engine's defaults; the serializer would make them zero.
    private static DeviceSpecification Deserialize(string text)
    {
        JsonObject properties = JsonNode.Parse(Serialize(new DeviceSpecification { Target = "" }))!.AsObject();
        JsonObject given = JsonNode.Parse(text) as JsonObject ?? throw new JsonException("It has no properties.");
        foreach ((string name, JsonNode? value) in given)
        {
            properties[name] = value?.DeepClone();
        }

        return properties.Deserialize(RegistrationJson.Default.DeviceSpecification)!;
    }

    /// <summary>The device of a registration, if it is there.</summary>
    internal static UblkDevice? FindDevice(string name) =>
        DeviceInventory.List().FirstOrDefault(device => device.Name == name);

    /// <summary>Checks that a name can be a file's, a unit's and a link's without being written differently.</summary>
    /// <exception cref="UblkException">It cannot.</exception>
    internal static void CheckName(string name)
    {
        bool isGood = name.Length is > 0 and <= MaxNameLength && name[0] is not ('.' or '-')
            && name.All(letter => char.IsAsciiLetterOrDigit(letter) || letter is '.' or '_' or '-');
        if (!isGood)
        {
            throw new UblkException(UblkError.InvalidArgument,
                $"Name must be 1 to {MaxNameLength} letters, digits, '_', '.' and '-', the last two not at its beginning; not '{name}'.");
        }
    }

    private static string PathOf(string name) => $"{Folder}/{name}{Extension}";

    private static IEnumerable<string> Names() => Directory.Exists(Folder)
        ? Directory.EnumerateFiles(Folder, $"*{Extension}").Select(path => Path.GetFileNameWithoutExtension(path))
        : [];

    private static UblkRegistration Describe(string name)
    {
        try
        {
            return Describe(name, Read(PathOf(name)));
        }
        catch (UblkException)
        {
            return new UblkRegistration { Name = name };
        }
    }

    private static UblkRegistration Describe(string name, DeviceSpecification specification) => new()
    {
        Name = name,
        Target = specification.Target,
        BackingPath = specification.BackingPath,
    };

    private static void Delete(UblkRegistration registration, IEnumerable<string> files)
    {
        foreach (string file in files.Where(File.Exists))
        {
            File.Delete(file);
        }

        EmptyFolder.Remove(Path.GetDirectoryName(registration.DropInPath)!);
        if (!Names().Any())
        {
            UnitTemplate.Remove();
        }

        EmptyFolder.Remove(Folder);
    }

    // udev also notices new rules by itself, if not at once.
    private static void ReloadRules()
    {
        if (File.Exists("/run/udev/control"))
        {
            ExternalProgram.TryRun("udevadm", ["control", "--reload"], out _);
        }
    }

    private static void RequireServiceManager()
    {
        if (!ServiceManager.IsRunning)
        {
            throw new UblkException(UblkError.NotSupported,
                "systemd does not run here, which would make the device at boot. Let what runs at boot here call New-UblkDevice instead.");
        }
    }

    private static UblkException Unwritable(Exception exception) => new(
        exception is UnauthorizedAccessException ? UblkError.PermissionDenied : UblkError.OperationFailed,
        $"The registration cannot be changed: {exception.Message} Run as root.");
}

/// <summary>How the specification of a registered device is written: for people to read.</summary>
[JsonSourceGenerationOptions(
    WriteIndented = true, UseStringEnumConverter = true, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingDefault)]
[JsonSerializable(typeof(DeviceSpecification))]
internal sealed partial class RegistrationJson : JsonSerializerContext;

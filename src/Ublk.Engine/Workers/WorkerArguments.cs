using Ublk.Specification;

namespace Ublk.Workers;

/// <summary>What the worker program is started with: a verb, and what that needs.</summary>
internal static class WorkerArguments
{
    /// <summary>Serves a device until it is removed or stopped; see <see cref="ForServing"/>.</summary>
    public const string Serve = "serve";

    /// <summary>Serves a device, as the parent of its worker; the same arguments.</summary>
    public const string Supervise = "supervise";

    /// <summary>Makes a registered device and stays as long as it is there: the file of its specification.</summary>
    public const string Attach = "attach";

    /// <summary>Stops and deletes a device: its id.</summary>
    public const string Remove = "remove";

    /// <summary>Gives a disk the size of what is behind it: its id.</summary>
    public const string AdoptSize = "adopt-size";

    /// <summary>Changes the size of what is behind a disk: its id, and the size.</summary>
    public const string ResizeStorage = "resize-storage";

    /// <summary>Starts and removes a device that another process serves: its id, and the process.</summary>
    public const string Guard = "guard";

    /// <summary>Prints the targets of an assembly: its path.</summary>
    public const string Targets = "targets";

    /// <summary>Prints whose a device is: the name of one of its nodes.</summary>
    public const string Owner = "owner";

    /// <summary>Does an operation on an image, by an order on its standard input.</summary>
    public const string Image = "image";

    /// <summary>Serves an export: its name.</summary>
    public const string Export = "export";

    /// <summary>Becomes a program that ends with the process that started it: that process, the program and its arguments.</summary>
    public const string Companion = "companion";

    /// <summary>Before the id of a device that is to be served: the first argument after the verb.</summary>
    public const string Id = "--id";

    /// <summary>Before the name of the launcher's channel: the last argument but one.</summary>
    public const string Launcher = "--launcher";

    /// <summary>
    /// What follows the verb of a worker that is to serve. Those before the last two are for ps(1) alone.
    /// </summary>
    /// <param name="specification">The device.</param>
    /// <param name="channel">The name of its launcher's channel.</param>
    public static string[] ForServing(DeviceSpecification specification, string channel) =>
        [.. Describe(specification), Launcher, channel];

    private static IEnumerable<string> Describe(DeviceSpecification specification)
    {
        yield return Id;
        yield return $"{specification.Id}";
        yield return "--target";
        yield return specification.Target;
        if (specification.Assembly is { } assembly)
        {
            yield return "--assembly";
            yield return assembly;
        }

        if (specification.BackingPath is { } path)
        {
            yield return "--path";
            yield return path;
        }
    }
}

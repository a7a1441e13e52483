using System.Globalization;
using Ublk.Control;
using Ublk.Interop;

namespace Ublk.Worker;

/// <summary>Prints a device's owner for udev, whose rules then set the owner of its nodes.</summary>
internal static class NodeOwner
{
    /// <summary>Prints the user and the group of an unprivileged device.</summary>
    /// <param name="node">The name of one of its nodes: <c>ublkc0</c>, <c>ublkb0</c>, or a partition such as <c>ublkb0p1</c>.</param>
    /// <returns>The exit code; not that of success where the device is root's.</returns>
    public static int Print(string node)
    {
        string number = node["ublkX".Length..].Split('p')[0];
        using ControlDevice control = new();
        if (control.TryGetInfo(int.Parse(number, CultureInfo.InvariantCulture), out UblkDeviceInfo info) < 0
            || !((UblkFeatures)info.Flags).HasFlag(UblkFeatures.UnprivilegedDev))
        {
            return ExitCode.Unavailable;
        }

        Console.WriteLine($"{info.OwnerUid} {info.OwnerGid}");
        return ExitCode.Done;
    }
}

using Ublk.Control;
using Ublk.Interop;

namespace Ublk.Devices;

/// <summary>Whether an id is still that of the observed device: ids are reused, cookies are not.</summary>
internal static class DeviceIdentity
{
    /// <summary>Whether the driver still has a device of this id and cookie.</summary>
    public static bool Exists(int id, ulong cookie)
    {
        using ControlDevice control = new();
        return Exists(control, id, cookie);
    }

    /// <summary>Whether the device exists, by an open control node.</summary>
    public static bool Exists(ControlDevice control, int id, ulong cookie) =>
        control.TryGetInfo(id, out UblkDeviceInfo info) >= 0 && info.ServerCookie == cookie;

    /// <summary>
    /// Whether the device of this cookie is gone and another has its id. The driver has no command that compares and acts atomically.
    /// </summary>
    public static bool IsReplaced(ControlDevice control, int id, ulong cookie) =>
        control.TryGetInfo(id, out UblkDeviceInfo info) >= 0 && info.ServerCookie != cookie;

    /// <summary>Checks that an id is still that of the device somebody looked at.</summary>
    /// <param name="id">The id.</param>
    /// <param name="cookie">The device's cookie; null where it is unknown.</param>
    /// <exception cref="UblkException">Another device has the id.</exception>
    public static void RequireSame(int id, ulong? cookie)
    {
        if (cookie is not { } seen)
        {
            return;
        }

        using ControlDevice control = new();
        if (IsReplaced(control, id, seen))
        {
            throw new UblkException(UblkError.DeviceNotFound,
                $"The device {id} that was looked at is gone, and another one has its id. Look again: Get-UblkDevice {id}", deviceId: id);
        }
    }
}

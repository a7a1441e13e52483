using System.Management.Automation;
using Ublk.Devices;

namespace Ublk.PowerShell;

/// <summary>Devices as users name them by path: the block device, its stable name, or the file behind it.</summary>
internal static class DevicePaths
{
    /// <summary>The devices a path names; wildcards may name none.</summary>
    /// <exception cref="UblkException">The path has no wildcards and names none.</exception>
    public static IReadOnlyList<UblkDevice> Find(SessionState session, string path)
    {
        string file = FilePaths.Resolve(session, path);
        WildcardPattern pattern = new(file);
        bool isPattern = WildcardPattern.ContainsWildcardCharacters(path);
        bool IsMeant(string? candidate) =>
            candidate is not null && (pattern.IsMatch(candidate) || FileIdentity.IsSame(candidate, file));

        UblkDevice[] devices =
        [
            .. DeviceInventory.List().Where(
                device => IsMeant(device.DevicePath) || IsMeant(device.Symlink) || IsMeant(device.BackingPath)),
        ];
        return devices.Length > 0 || isPattern
            ? devices
            : throw new UblkException(UblkError.DeviceNotFound, $"There is no ublk device {path}, nor one with that file behind it.");
    }
}

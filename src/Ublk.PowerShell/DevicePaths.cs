using System.Management.Automation;
using Ublk.Devices;

namespace Ublk.PowerShell;

/// <summary>Devices as users name them by path: the block device, its stable name, or the file behind it.</summary>
internal static class DevicePaths
{
    /// <summary>The devices a path names; wildcards may name none.</summary>
    /// <param name="session">The session, whose location a relative path is relative to.</param>
    /// <param name="path">The path.</param>
    /// <param name="isLiteral">Whether the path is taken as it is, without wildcards.</param>
    /// <exception cref="UblkException">The path has no wildcards and names none.</exception>
    public static IReadOnlyList<UblkDevice> Find(SessionState session, string path, bool isLiteral)
    {
        bool isPattern = !isLiteral && WildcardPattern.ContainsWildcardCharacters(path);
        string file = FilePaths.Resolve(session, isLiteral || isPattern ? path : WildcardPattern.Unescape(path));
        PathPattern? pattern = isPattern ? new PathPattern(file, FilePaths.Resolve(session, ".")) : null;
        bool IsMeant(string? candidate) =>
            candidate is not null && (pattern?.IsMatch(candidate) ?? (candidate == file || FileIdentity.IsSame(candidate, file)));

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

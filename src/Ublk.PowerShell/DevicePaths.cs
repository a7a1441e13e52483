using System.Management.Automation;
using Ublk.Devices;
using Ublk.Files;

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
        FileIdentity? named = isPattern ? null : FileIdentity.Of(file);

        bool IsNamed(string? name) => name is not null
            && (pattern?.IsMatch(name) ?? (name == file || (named is not null && named == FileIdentity.Of(name))));

        // Another file may have the name by now of the one that the device serves.
        bool IsBehind(UblkDevice device)
        {
            if (device.BackingFile is not { } served)
            {
                return IsNamed(device.BackingPath);
            }

            return isPattern
                ? IsNamed(device.BackingPath) && FileIdentity.Of(device.BackingPath)?.Matches(served) != false
                : named?.Matches(served) ?? device.BackingPath == file;
        }

        IReadOnlyList<UblkDevice> all = DeviceInventory.List();
        UblkDevice[] devices = [.. all.Where(device => IsNamed(device.DevicePath) || IsNamed(device.Symlink) || IsBehind(device))];
        return devices.Length > 0 || isPattern
            ? devices
            : throw new UblkException(UblkError.DeviceNotFound,
                all.FirstOrDefault(device => device.BackingPath == file) is { } former
                    ? $"{path} is not the file behind {former.DevicePath}, which had that name. Give the device's id: -Id {former.Id}."
                    : $"There is no ublk device {path}, nor one with that file behind it.");
    }
}

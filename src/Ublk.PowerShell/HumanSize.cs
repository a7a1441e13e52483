using System.Globalization;

namespace Ublk.PowerShell;

/// <summary>Sizes as the views show them.</summary>
public static class HumanSize
{
    private static readonly string[] Units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

    /// <summary>A number of bytes in the greatest unit that leaves it at 1 or more, such as <c>1.5 GiB</c>; null stays null.</summary>
    public static string? Format(long? bytes)
    {
        if (bytes is not { } size)
        {
            return null;
        }

        int unit = size > 0 ? (int)(Math.ILogB(size) / 10) : 0;
        return string.Create(CultureInfo.InvariantCulture, $"{size / Math.Pow(1024, unit):0.##} {Units[unit]}");
    }
}

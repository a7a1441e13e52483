using System.Globalization;

namespace Ublk.CommandLine;

/// <summary>Sizes as users write them: bytes, or with a unit such as <c>64M</c>.</summary>
internal static class SizeText
{
    private const string Units = "KMGTPE";

    /// <summary>Reads a size; null if the text is not a size.</summary>
    /// <param name="text">Digits, and K, M, G, T, P or E for a power of 1024, which may end in B or iB.</param>
    public static long? TryParse(string text)
    {
        string digits = text.TrimEnd("KMGTPEBikmgtpeb".ToCharArray());
        string unit = text[digits.Length..].ToUpperInvariant();
        int power = unit.Length == 0 ? 0 : Units.IndexOf(unit[0], StringComparison.Ordinal) + 1;
        bool isUnit = unit is "" or "B" || (power > 0 && unit[1..] is "" or "B" or "IB");
        return isUnit && long.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out long count)
            && count <= long.MaxValue >> (10 * power) ? count << (10 * power) : null;
    }

    /// <summary>Reads a size.</summary>
    /// <param name="name">The option it is given for.</param>
    /// <param name="text">The text.</param>
    /// <exception cref="UblkException">The text is not a size.</exception>
    public static long Parse(string name, string text) => TryParse(text) ?? throw new UblkException(
        UblkError.InvalidArgument, $"'{text}' is not a valid size for {name}: write it in bytes, or like 64M.");
}

using System.Text;

namespace Ublk.Qcow2.Format;

/// <summary>The set of features a bit belongs to.</summary>
internal enum FeatureKind : byte
{
    Incompatible = 0,
    Compatible = 1,
    Autoclear = 2,
}

/// <summary>The image's own name of a feature bit, for programs that do not know it.</summary>
internal sealed record FeatureName(FeatureKind Kind, int Bit, string Name)
{
    private const int EntryLength = 48;
    private const int NameLength = 46;

    /// <summary>The names of all features this engine knows, as new images carry them.</summary>
    public static IReadOnlyList<FeatureName> Known { get; } =
    [
        new(FeatureKind.Incompatible, 0, "dirty bit"),
        new(FeatureKind.Incompatible, 1, "corrupt bit"),
        new(FeatureKind.Incompatible, 2, "external data file"),
        new(FeatureKind.Incompatible, 3, "compression type"),
        new(FeatureKind.Incompatible, 4, "extended L2 entries"),
        new(FeatureKind.Compatible, 0, "lazy refcounts"),
        new(FeatureKind.Autoclear, 0, "bitmaps"),
        new(FeatureKind.Autoclear, 1, "raw external data"),
    ];

    /// <summary>Reads a feature name table; a rest shorter than an entry is ignored.</summary>
    public static IReadOnlyList<FeatureName> ParseAll(ReadOnlySpan<byte> table)
    {
        List<FeatureName> names = [];
        for (; table.Length >= EntryLength; table = table[EntryLength..])
        {
            ReadOnlySpan<byte> name = table.Slice(2, NameLength);
            int end = name.IndexOf((byte)0);
            names.Add(new FeatureName((FeatureKind)table[0], table[1], Encoding.UTF8.GetString(end < 0 ? name : name[..end])));
        }

        return names;
    }

    /// <summary>The extension that holds names.</summary>
    public static HeaderExtension ToExtension(IReadOnlyList<FeatureName> names)
    {
        byte[] table = new byte[names.Count * EntryLength];
        for (int index = 0; index < names.Count; index++)
        {
            Span<byte> entry = table.AsSpan(index * EntryLength, EntryLength);
            entry[0] = (byte)names[index].Kind;
            entry[1] = (byte)names[index].Bit;
            Encoding.UTF8.GetBytes(names[index].Name, entry[2..]);
        }

        return new HeaderExtension(HeaderExtension.FeatureNames, table);
    }
}

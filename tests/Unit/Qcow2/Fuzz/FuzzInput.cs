using System.Buffers.Binary;

namespace Ublk.Tests.Qcow2.Fuzz;

/// <summary>
/// Images with some bytes changed where it matters: header, extensions, tables, reference counts, snapshots, compressed data.
/// </summary>
internal static class FuzzInput
{
    private const int TableEntries = 64;

    private static readonly ulong[] s_numbers =
    [
        0, 1, 2, 511, 512, 513, 4096, 65535, 65536, 0x7fffffff, 0x80000000, 0xffffffff, 0x100000000, 1UL << 62, 1UL << 63,
        (1UL << 63) | 0x200, (1UL << 62) | 0x200, ulong.MaxValue, long.MaxValue, 0x00fffffffffffe00, 1UL << 55, 1UL << 56,
    ];

    /// <summary>Changes a copy of an image's own file.</summary>
    public static byte[] Mutate(byte[] image, Random random)
    {
        byte[] copy = [.. image];
        int changes = 1 + random.Next(4);
        List<int> places = TablesOf(image);
        for (int change = 0; change < changes; change++)
        {
            switch (random.Next(10))
            {
                case 0:
                    copy[random.Next(copy.Length)] ^= (byte)(1 << random.Next(8));
                    break;
                case 1:
                    // A part goes where another is.
                    int length = random.Next(1, int.Min(512, copy.Length));
                    copy.AsSpan(random.Next(copy.Length - length), length).CopyTo(copy.AsSpan(random.Next(copy.Length - length)));
                    break;
                case 2 when copy.Length > 1024:
                    Array.Resize(ref copy, random.Next(4) == 0 ? random.Next(copy.Length) : copy.Length - random.Next(1, 1024));
                    break;
                case 3 or 4 or 5:
                    // A field of the header.
                    Put(copy, random.Next(int.Min(160, copy.Length)) & ~3, random, copy.Length);
                    break;
                default:
                    int table = places[random.Next(places.Count)];
                    Put(copy, table + (random.Next(TableEntries) * 8), random, copy.Length);
                    break;
            }

            if (copy.Length == 0)
            {
                return copy;
            }
        }

        return copy;
    }

    private static void Put(byte[] image, int place, Random random, int length)
    {
        if (place < 0 || place + 8 > image.Length)
        {
            return;
        }

        Span<byte> field = image.AsSpan(place);
        ulong old = BinaryPrimitives.ReadUInt64BigEndian(field);
        ulong value = random.Next(6) switch
        {
            0 => s_numbers[random.Next(s_numbers.Length)],
            1 => old ^ (1UL << random.Next(64)),
            2 => (ulong)random.Next(length / 512) * 512,
            3 => (1UL << 63) | ((ulong)random.Next(length / 512) * 512),
            4 => old + (ulong)random.Next(-2, 3),
            _ => (ulong)random.NextInt64(),
        };
        if (random.Next(3) == 0)
        {
            BinaryPrimitives.WriteUInt32BigEndian(field, (uint)value);
        }
        else
        {
            BinaryPrimitives.WriteUInt64BigEndian(field, value);
        }
    }

    // Where the header says that tables are, and where those say that more are.
    internal static List<int> TablesOf(byte[] image)
    {
        List<int> places = [0, 64];
        foreach (int field in (int[])[40, 48, 64])
        {
            AddTable(places, image, field);
        }

        // The place of the bitmaps' directory is the last field of the extension.
        if (image.AsSpan(0, int.Min(512, image.Length)).IndexOf((ReadOnlySpan<byte>)[0x23, 0x85, 0x28, 0x75]) is var extension and >= 0)
        {
            places.Add(extension);
            AddTable(places, image, extension + 24);
        }

        foreach (int table in places.ToArray())
        {
            for (int entry = 0; entry < 4; entry++)
            {
                AddTable(places, image, table + (entry * 8));
            }
        }

        return places;
    }

    private static void AddTable(List<int> places, byte[] image, int field)
    {
        if (field + 8 <= image.Length && (BinaryPrimitives.ReadUInt64BigEndian(image.AsSpan(field)) & 0x00fffffffffffe00) is var place
            && place > 0 && place < (ulong)image.Length)
        {
            places.Add((int)place);
        }
    }
}

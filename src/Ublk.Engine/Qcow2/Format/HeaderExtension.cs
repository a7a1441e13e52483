using System.Buffers.Binary;
using Ublk.Interop;

namespace Ublk.Qcow2.Format;

/// <summary>One section after the header as it is in the file, without its padding, whether this engine knows its type or not.</summary>
internal sealed record HeaderExtension(uint Type, byte[] Data)
{
    /// <summary>The end of the extensions. With data, an extension that was taken out: what it had stays where it was.</summary>
    public const uint End = 0;

    /// <summary>The backing file's format, a text.</summary>
    public const uint BackingFormat = 0xE2792ACA;

    /// <summary>Names of features.</summary>
    public const uint FeatureNames = 0x6803F857;

    /// <summary>Where the persistent bitmaps are.</summary>
    public const uint Bitmaps = 0x23852875;

    /// <summary>Where the LUKS header is.</summary>
    public const uint EncryptionHeader = 0x0537BE77;

    /// <summary>The external data file's name, a text.</summary>
    public const uint DataFile = 0x44415441;

    /// <summary>Bytes of the type and the length, which the end of the extensions takes as well.</summary>
    public const int HeadLength = 8;

    /// <summary>Bytes it takes in the file, with its type, length and padding.</summary>
    public int StoredLength => HeadLength + PaddedLength(Data.Length);

    /// <summary>Its data as a text.</summary>
    public string Text => RawText.Of(Data);

    /// <summary>An extension that is a text.</summary>
    public static HeaderExtension OfText(uint type, string text) => new(type, RawText.ToBytes(text));

    /// <summary>Reads all extensions.</summary>
    /// <param name="area">What follows the header in its cluster, to where the backing file's name begins if there is one.</param>
    /// <param name="path">The image, for errors.</param>
    /// <exception cref="UblkException">One does not fit.</exception>
    public static IReadOnlyList<HeaderExtension> ParseAll(ReadOnlySpan<byte> area, string path)
    {
        List<HeaderExtension> extensions = [];
        bool isLast = false;
        while (!isLast && area.Length >= HeadLength)
        {
            uint type = BinaryPrimitives.ReadUInt32BigEndian(area);
            uint length = BinaryPrimitives.ReadUInt32BigEndian(area[4..]);
            area = area[HeadLength..];
            if (type == End && (length == 0 || length > area.Length))
            {
                break;
            }

            ImageError.ThrowIf(length > area.Length, path,
                $"its header extension {type:x8} of {length} bytes does not fit the header's cluster");
            extensions.Add(new HeaderExtension(type, area[..(int)length].ToArray()));
            isLast = type == End;
            area = area[int.Min(PaddedLength((int)length), area.Length)..];
        }

        return extensions;
    }

    /// <summary>Writes it, padding included; the room must be zeroed.</summary>
    public void WriteTo(Span<byte> room)
    {
        BinaryPrimitives.WriteUInt32BigEndian(room, Type);
        BinaryPrimitives.WriteInt32BigEndian(room[4..], Data.Length);
        Data.CopyTo(room[HeadLength..]);
    }

    private static int PaddedLength(int length) => (length + 7) & ~7;
}

using System.Runtime.InteropServices;
using System.Runtime.InteropServices.Marshalling;
using System.Text;

namespace Ublk.Interop;

/// <summary>Names as the kernel and image formats have them: bytes, which are mostly but not always UTF-8.</summary>
/// <remarks>
/// A byte that is not part of valid UTF-8 becomes the lone surrogate U+DC00 + byte, which no valid text has, and is converted back to that
/// byte. A name that is read and written stays the same.
/// </remarks>
internal static class RawText
{
    private const char Escape = '\uDC00';

    /// <summary>The text of bytes.</summary>
    public static string Of(ReadOnlySpan<byte> bytes)
    {
        StringBuilder text = new(bytes.Length);
        while (!bytes.IsEmpty)
        {
            bool isValid = Rune.DecodeFromUtf8(bytes, out Rune rune, out int length) == System.Buffers.OperationStatus.Done;
            length = isValid ? length : 1;
            _ = isValid ? text.Append(rune.ToString()) : text.Append((char)(Escape + bytes[0]));
            bytes = bytes[length..];
        }

        return text.ToString();
    }

    /// <summary>The bytes of a text. Any other lone surrogate becomes U+FFFD.</summary>
    public static byte[] ToBytes(string text)
    {
        byte[] bytes = new byte[Encoding.UTF8.GetMaxByteCount(text.Length)];
        int used = 0;
        for (int position = 0; position < text.Length;)
        {
            if (Rune.TryGetRuneAt(text, position, out Rune rune))
            {
                position += rune.Utf16SequenceLength;
            }
            else
            {
                char escaped = text[position++];
                if (escaped - Escape is >= 0x80 and <= 0xFF)
                {
                    bytes[used++] = (byte)(escaped - Escape);
                    continue;
                }

                rune = Rune.ReplacementChar;
            }

            used += rune.EncodeToUtf8(bytes.AsSpan(used));
        }

        return bytes[..used];
    }

    /// <summary>Hands a text to a function of libc's, with a zero byte at the end.</summary>
    [CustomMarshaller(typeof(string), MarshalMode.ManagedToUnmanagedIn, typeof(Marshaller))]
    internal static unsafe class Marshaller
    {
        public static byte* ConvertToUnmanaged(string text)
        {
            byte[] bytes = ToBytes(text);
            byte* room = (byte*)NativeMemory.Alloc((nuint)bytes.Length + 1);
            bytes.CopyTo(new Span<byte>(room, bytes.Length));
            room[bytes.Length] = 0;
            return room;
        }

        public static void Free(byte* room) => NativeMemory.Free(room);
    }
}

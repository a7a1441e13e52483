using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Ublk.Interop;
using Ublk.Io;

namespace Ublk.Targets.Nbd;

/// <summary>A header and the data that follows it, of which a part may have been sent.</summary>
internal static unsafe class NbdMessage
{
    /// <summary>Describes what is not sent yet.</summary>
    /// <param name="header">The header, in pinned memory.</param>
    /// <param name="headerLength">Bytes of it.</param>
    /// <param name="data">The data, which is in memory; empty for none.</param>
    /// <param name="sent">Bytes that are sent.</param>
    /// <param name="vectors">Room for two.</param>
    /// <returns>How many are used.</returns>
    public static int Describe(byte[] header, int headerLength, IoBuffer data, int sent, Span<Libc.IoVector> vectors)
    {
        int used = 0;
        if (sent < headerLength)
        {
            nint address = (nint)Unsafe.AsPointer(ref MemoryMarshal.GetArrayDataReference(header));
            vectors[used++] = new Libc.IoVector { Base = address + sent, Length = (nuint)(headerLength - sent) };
        }

        int sentData = int.Max(0, sent - headerLength);
        if (data.Length > sentData)
        {
            vectors[used++] = new Libc.IoVector { Base = data.Address + sentData, Length = (nuint)(data.Length - sentData) };
        }

        return used;
    }

    /// <summary>Copies what vectors describe, as far as there is room.</summary>
    /// <returns>How many bytes.</returns>
    public static int Copy(ReadOnlySpan<Libc.IoVector> vectors, Span<byte> room)
    {
        int copied = 0;
        foreach (Libc.IoVector vector in vectors)
        {
            int part = int.Min((int)vector.Length, room.Length - copied);
            new ReadOnlySpan<byte>((void*)vector.Base, part).CopyTo(room[copied..]);
            copied += part;
        }

        return copied;
    }
}

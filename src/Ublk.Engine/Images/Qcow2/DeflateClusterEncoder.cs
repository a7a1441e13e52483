using System.Runtime.InteropServices;

namespace Ublk.Images.Qcow2;

/// <summary>Raw deflate streams, whose distances must stay within 4 KiB: qemu looks back no further.</summary>
/// <remarks>
/// The framework's streams look back 32 KiB and cannot be told otherwise, so its native zlib is called as they do it.
/// </remarks>
internal sealed partial class DeflateClusterEncoder : IClusterEncoder
{
    private const string Library = "libSystem.IO.Compression.Native";
    private const int RawWindowBits = -12;
    private const int DefaultLevel = -1;
    private const int Deflated = 8;
    private const int MemoryLevel = 9;
    private const int DefaultStrategy = 0;
    private const int Finish = 4;
    private const int StreamEnd = 1;

    /// <inheritdoc/>
    public unsafe int TryEncode(ReadOnlySpan<byte> cluster, Span<byte> stored)
    {
        fixed (byte* from = cluster)
        fixed (byte* to = stored)
        {
            ZStream stream = new() { NextIn = from, AvailableIn = (uint)cluster.Length, NextOut = to, AvailableOut = (uint)stored.Length };
            if (DeflateInit2(&stream, DefaultLevel, Deflated, RawWindowBits, MemoryLevel, DefaultStrategy) != 0)
            {
                throw new UblkException(UblkError.OperationFailed, "zlib cannot compress.", operation: "deflateInit2");
            }

            int result = Deflate(&stream, Finish);
            _ = DeflateEnd(&stream);
            return result == StreamEnd ? stored.Length - (int)stream.AvailableOut : 0;
        }
    }

    [LibraryImport(Library, EntryPoint = "CompressionNative_DeflateInit2_")]
    private static unsafe partial int DeflateInit2(ZStream* stream, int level, int method, int windowBits, int memoryLevel, int strategy);

    [LibraryImport(Library, EntryPoint = "CompressionNative_Deflate")]
    private static unsafe partial int Deflate(ZStream* stream, int flush);

    [LibraryImport(Library, EntryPoint = "CompressionNative_DeflateEnd")]
    private static unsafe partial int DeflateEnd(ZStream* stream);

    /// <summary>PAL_ZStream of the framework (pal_zlib.h).</summary>
    [StructLayout(LayoutKind.Sequential)]
    private unsafe struct ZStream
    {
        public byte* NextIn;
        public byte* NextOut;
        public byte* Message;
        public void* InternalState;
        public uint AvailableIn;
        public uint AvailableOut;
    }
}

using System.IO.Compression;
using System.Runtime.InteropServices;

namespace Ublk.Qcow2.Compression;

/// <summary>Raw deflate streams, whose distances must stay within 4 KiB: qemu looks back no further.</summary>
/// <remarks>
/// The framework's streams use a window of 32 KiB that cannot be changed, so its native zlib is called directly.
/// </remarks>
internal sealed partial class DeflateCodec : ClusterCodec
{
    private const string Library = "libSystem.IO.Compression.Native";
    private const int RawWindowBits = -12;
    private const int DefaultLevel = -1;
    private const int Deflated = 8;
    private const int MemoryLevel = 9;
    private const int DefaultStrategy = 0;
    private const int Finish = 4;
    private const int StreamEnd = 1;

    /// <summary>The codec.</summary>
    public static DeflateCodec Instance { get; } = new();

    /// <inheritdoc/>
    public override unsafe int TryCompress(ReadOnlySpan<byte> cluster, Span<byte> compressed)
    {
        fixed (byte* from = cluster)
        fixed (byte* to = compressed)
        {
            ZStream stream =
                new() { NextIn = from, AvailableIn = (uint)cluster.Length, NextOut = to, AvailableOut = (uint)compressed.Length };
            if (DeflateInit2(&stream, DefaultLevel, Deflated, RawWindowBits, MemoryLevel, DefaultStrategy) != 0)
            {
                throw new UblkException(UblkError.OperationFailed, "zlib cannot compress.", operation: "deflateInit2");
            }

            int result = Deflate(&stream, Finish);
            _ = DeflateEnd(&stream);
            return result == StreamEnd ? compressed.Length - (int)stream.AvailableOut : 0;
        }
    }

    /// <inheritdoc/>
    public override unsafe bool TryDecompress(ReadOnlySpan<byte> compressed, Span<byte> cluster)
    {
        fixed (byte* from = compressed)
        {
            using UnmanagedMemoryStream source = new(from, compressed.Length);
            using DeflateStream stream = new(source, CompressionMode.Decompress);
            try
            {
                return stream.ReadAtLeast(cluster, cluster.Length, throwOnEndOfStream: false) == cluster.Length;
            }
            catch (InvalidDataException)
            {
                return false;
            }
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

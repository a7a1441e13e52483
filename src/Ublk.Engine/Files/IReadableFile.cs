using Microsoft.Win32.SafeHandles;

namespace Ublk.Files;

/// <summary>A file that is read on the calling thread.</summary>
internal interface IReadableFile
{
    /// <summary>The file's path, for errors.</summary>
    string Path { get; }

    /// <summary>The open file; null for a file that is not the operating system's, such as a simulated one.</summary>
    SafeFileHandle? Handle { get; }

    /// <summary>Its length in bytes now.</summary>
    long Length { get; }

    /// <summary>Fills a buffer; beyond the end of the file with zeroes.</summary>
    /// <exception cref="UblkException">The file cannot be read there.</exception>
    void Read(Span<byte> buffer, long offset);
}

/// <summary>What follows from the members of <see cref="IReadableFile"/>.</summary>
internal static class ReadableFile
{
    /// <summary>Reads bytes; what is beyond the file's end is zero.</summary>
    /// <exception cref="UblkException">The file cannot be read there.</exception>
    public static byte[] ReadBytes(this IReadableFile file, long offset, long length)
    {
        byte[] bytes = new byte[length];
        file.Read(bytes, offset);
        return bytes;
    }
}

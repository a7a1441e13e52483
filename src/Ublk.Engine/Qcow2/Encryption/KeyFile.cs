using System.Security.Cryptography;
using Ublk.Interop;

namespace Ublk.Qcow2.Encryption;

/// <summary>A file with a passphrase, every byte of which counts, as for qemu and cryptsetup.</summary>
internal static class KeyFile
{
    private const int MaxLength = 64 << 10;

    /// <summary>Reads a passphrase.</summary>
    /// <exception cref="UblkException">The file cannot be read, or is too long.</exception>
    public static byte[] Read(string path)
    {
        try
        {
            using FileStream file = new(path, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 0);
            byte[] room = new byte[MaxLength + 1];
            int length = file.ReadAtLeast(room, room.Length, throwOnEndOfStream: false);
            byte[] passphrase = room[..length];
            CryptographicOperations.ZeroMemory(room);
            return length <= MaxLength
                ? passphrase
                : throw new UblkException(UblkError.InvalidArgument, $"{path} has more than {MaxLength} bytes, so it is no passphrase.");
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw exception switch
            {
                FileNotFoundException or DirectoryNotFoundException =>
                    new UblkException(UblkError.PathNotFound, $"There is no key file {path}.", Libc.ENOENT, "open"),
                UnauthorizedAccessException =>
                    new UblkException(UblkError.PermissionDenied, $"The key file {path} may not be read.", Libc.EACCES, "open"),
                _ => new UblkException(UblkError.OperationFailed,
                    $"The key file {path} cannot be read: {exception.Message}", Libc.EIO, "read"),
            };
        }
    }
}

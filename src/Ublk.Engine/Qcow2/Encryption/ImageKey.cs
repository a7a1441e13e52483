using Ublk.Files;
using Ublk.Qcow2.Format;

namespace Ublk.Qcow2.Encryption;

/// <summary>Gets the key of an encrypted image.</summary>
internal static class ImageKey
{
    // Of AES with 128 bits.
    private const int LegacyKeyLength = 16;

    /// <summary>Prepares for reading an image, and for writing it.</summary>
    /// <returns>What encrypts its data; null where it is in the clear.</returns>
    /// <exception cref="UblkException">
    /// There is no passphrase, or not the right one, or the image is encrypted in a way unknown here.
    /// </exception>
    public static DiskCipher? Open(ImageFile file, ImageHeader header, bool readOnly, byte[]? passphrase)
    {
        string path = file.Path;
        switch (header.Encryption)
        {
            case EncryptionMethod.None:
                return null;
            case EncryptionMethod.Aes:
                return readOnly
                    ? OpenLegacy(Require(passphrase, path))
                    : throw ImageError.NotSupported(path,
                        "is encrypted with qcow2's legacy AES, in which a wrong passphrase cannot be detected, so it can only be "
                            + "read. Attach it with -ReadOnly.");
            case EncryptionMethod.Luks:
                return OpenLuks(file, header, Require(passphrase, path));
            default:
                throw ImageError.NotSupported(path,
                    $"is encrypted by the unknown method {(uint)header.Encryption}. Open it with the program that made it.");
        }
    }

    // The passphrase is the key, filled up with zeroes or cut off.
    private static DiskCipher OpenLegacy(byte[] passphrase)
    {
        byte[] key = new byte[LegacyKeyLength];
        passphrase.AsSpan(0, int.Min(passphrase.Length, key.Length)).CopyTo(key);
        return new DiskCipher(CipherSuite.Legacy, key, goesByDisk: true);
    }

    private static DiskCipher OpenLuks(ImageFile file, ImageHeader header, byte[] passphrase)
    {
        (long offset, long length) = header.LuksArea ?? throw ImageError.Invalid(file.Path, "it does not record where its LUKS header is");
        ImageError.ThrowIf(offset <= 0 || length < 0 || length > file.Length - offset, file.Path,
            $"its LUKS header is at byte {offset}, beyond the file's end");
        LuksHeader luks = LuksHeader.Parse(file.ReadBytes(offset, LuksHeader.Length), length, file.Path);
        byte[] key = luks.FindKey(file, offset, passphrase)
            ?? throw new UblkException(UblkError.PermissionDenied,
                $"The key file does not have the passphrase of {file.Path}. It must contain only the passphrase, without a line break at "
                    + "the end.");
        return new DiskCipher(luks.Suite, key, goesByDisk: false);
    }

    private static byte[] Require(byte[]? passphrase, string path) => passphrase
        ?? throw new UblkException(UblkError.InvalidArgument, $"{path} is encrypted. Give the file that has its passphrase with -KeyFile.");
}

using System.Security.Cryptography;

namespace Ublk.Qcow2.Encryption;

/// <summary>A cipher and its mode, as LUKS names them.</summary>
/// <param name="Cipher">The block cipher: aes is known here.</param>
/// <param name="Mode">Its mode and how sectors are numbered, such as xts-plain64 or cbc-essiv:sha256.</param>
internal sealed record CipherSuite(string Cipher, string Mode)
{
    /// <summary>What qcow2 had before LUKS.</summary>
    public static CipherSuite Legacy { get; } = new("aes", "cbc-plain64");

    private bool IsXts => Mode.StartsWith("xts-", StringComparison.Ordinal);

    private string Numbering => Mode[(Mode.IndexOf('-', StringComparison.Ordinal) + 1)..];

    /// <summary>Whether it is supported with a key of this many bytes.</summary>
    public bool IsKnown(int keyLength) => Cipher == "aes"
        && (IsXts || Mode.StartsWith("cbc-", StringComparison.Ordinal))
        && (IsXts ? keyLength / 2.0 : keyLength) is 16 or 24 or 32
        && (Numbering is "plain" or "plain64" || HiddenBy is not null);

    // A hash whose result is as long as a key.
    private HashAlgorithmName? HiddenBy => Numbering == "essiv:sha256" ? HashAlgorithmName.SHA256 : null;

    /// <summary>Prepares a key.</summary>
    /// <param name="key">The key; not kept.</param>
    /// <exception cref="UblkException">This machine has no library for cryptography.</exception>
    public SectorCipher Prepare(ReadOnlySpan<byte> key)
    {
        try
        {
            SectorNumbers numbers = new(Numbering == "plain",
                HiddenBy is { } hash ? new AesBlocks(CryptographicOperations.HashData(hash, key)) : null);
            return IsXts ? new XtsCipher(key, numbers) : new CbcCipher(key, numbers);
        }
        catch (Exception exception) when (exception is TypeInitializationException or DllNotFoundException)
        {
            throw new UblkException(UblkError.NotSupported,
                "Encrypted images need OpenSSL, which this machine lacks. Install it (Debian: libssl3, Fedora: openssl-libs).");
        }
    }

    /// <inheritdoc/>
    public override string ToString() => $"{Cipher}-{Mode}";
}

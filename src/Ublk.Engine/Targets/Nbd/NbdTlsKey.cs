using System.Runtime.InteropServices;
using System.Text;
using Ublk.Interop;

namespace Ublk.Targets.Nbd;

/// <summary>A pre-shared key, and its owner's name.</summary>
internal sealed unsafe class NbdTlsKey : IDisposable
{
    // What a handshake on this thread asks for; OpenSSL calls back within it.
    [ThreadStatic]
    private static NbdTlsKey? s_current;

    private readonly byte[] _key;
    private readonly byte* _user;
    private readonly int _userLength;

    private NbdTlsKey(string user, byte[] key)
    {
        _key = key;
        byte[] name = Encoding.UTF8.GetBytes(user);
        _userLength = name.Length;

        // OpenSSL keeps the address for the time of the handshake.
        _user = (byte*)NativeMemory.Alloc((nuint)_userLength + 1);
        name.CopyTo(new Span<byte>(_user, _userLength));
        _user[_userLength] = 0;
    }

    /// <summary>What OpenSSL calls for the key with TLS 1.3.</summary>
    public static delegate* unmanaged<nint, nint, byte**, nuint*, nint*, int> Callback => &Supply;

    /// <summary>What OpenSSL calls for the key with TLS 1.2.</summary>
    public static delegate* unmanaged<nint, byte*, byte*, uint, byte*, uint, uint> OldCallback => &SupplyOld;

    /// <summary>Reads a key of a file.</summary>
    /// <exception cref="UblkException">The file has no such key.</exception>
    public static NbdTlsKey Read(string path, string? user)
    {
        string[][] keys;
        try
        {
            keys = [.. File.ReadLines(path).Select(line => line.Trim()).Where(line => line.Length > 0 && line[0] != '#')
                .Select(line => line.Split(':', 2))];
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw Unusable(path, exception.Message);
        }

        string[][] found = user is null ? keys : [.. keys.Where(key => key[0] == user)];
        if (found is not [[_, { Length: > 0 }]])
        {
            throw Unusable(path, user is not null ? $"there is no key of {user}"
                : keys.Length > 1 ? "it has several keys; choose one by tls-username" : "there is no line of user:key");
        }

        try
        {
            return new NbdTlsKey(found[0][0], Convert.FromHexString(found[0][1]));
        }
        catch (FormatException)
        {
            throw Unusable(path, "the key is not hexadecimal");
        }
    }

    /// <summary>Offers the key in a handshake on the calling thread; null for none.</summary>
    public static void Offer(NbdTlsKey? key) => s_current = key;

    /// <inheritdoc/>
    public void Dispose() => NativeMemory.Free(_user);

    [UnmanagedCallersOnly]
    private static int Supply(nint ssl, nint digest, byte** id, nuint* length, nint* session)
    {
        *session = 0;
        *id = null;
        *length = 0;
        if (s_current is not { } key)
        {
            return 1;
        }

        // TLS_AES_128_GCM_SHA256: its hash is what a key from outside is used with.
        byte* number = stackalloc byte[] { 0x13, 0x01 };
        nint cipher = LibSsl.FindCipher(ssl, number);
        nint made = LibSsl.NewSession();
        fixed (byte* secret = key._key)
        {
            if (made == 0 || cipher == 0 || LibSsl.SetSessionKey(made, secret, (nuint)key._key.Length) != 1
                || LibSsl.SetSessionCipher(made, cipher) != 1 || LibSsl.SetSessionVersion(made, LibSsl.TLS1_3_VERSION) != 1)
            {
                return 0;
            }
        }

        *session = made;
        *id = key._user;
        *length = (nuint)key._userLength;
        return 1;
    }

    // Called for a TLS 1.2 server only: with TLS 1.3 the other callback has supplied the key.
    [UnmanagedCallersOnly]
    private static uint SupplyOld(nint ssl, byte* hint, byte* id, uint idRoom, byte* secret, uint secretRoom)
    {
        if (s_current is not { } key || key._userLength >= idRoom || key._key.Length > secretRoom)
        {
            return 0;
        }

        new ReadOnlySpan<byte>(key._user, key._userLength + 1).CopyTo(new Span<byte>(id, (int)idRoom));
        key._key.CopyTo(new Span<byte>(secret, (int)secretRoom));
        return (uint)key._key.Length;
    }

    private static UblkException Unusable(string path, string reason) =>
        new(UblkError.InvalidArgument, $"The file of TLS keys {path} cannot be used: {reason}.", operation: "tls");
}

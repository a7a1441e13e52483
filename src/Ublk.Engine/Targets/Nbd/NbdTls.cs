using System.Net;
using System.Runtime.InteropServices;
using Ublk.Interop;

namespace Ublk.Targets.Nbd;

/// <summary>
/// The encryption of one connection, by OpenSSL in memory: what goes out is taken from here and sent, what comes is received and put in.
/// So the transport is the same as without it. It serves one thread at a time, and allocates nothing of the runtime's.
/// </summary>
internal sealed unsafe class NbdTls : IDisposable
{
    // Of TLS 1.2: those by which the server, too, proves that it has the key. The ones with forward secrecy come first.
    private const string KeyCiphers = "kECDHEPSK:kDHEPSK:kPSK";

    private readonly string _otherEnd;
    private readonly NbdTlsKey? _key;
    private readonly nint _context;
    private readonly nint _ssl;
    private readonly nint _input;
    private readonly nint _output;

    /// <summary>Prepares the client's end.</summary>
    /// <exception cref="UblkException">OpenSSL, a certificate or a key is missing.</exception>
    public NbdTls(NbdTlsSettings settings)
        : this("to the NBD server", LibSsl.ClientMethod, tls => tls.ConfigureClient(settings), tls => tls.BeginClient(settings))
    {
    }

    private NbdTls(string otherEnd, Func<nint> method, Func<NbdTls, NbdTlsKey?> configure, Action<NbdTls> begin)
    {
        _otherEnd = otherEnd;
        try
        {
            _context = LibSsl.NewContext(method());
            Require(_context != 0 ? 1 : 0, LibSsl.Ssl);
            _ = LibSsl.ControlContext(_context, LibSsl.SSL_CTRL_SET_MIN_PROTO_VERSION, LibSsl.TLS1_2_VERSION, 0);
            _key = configure(this);
            _ssl = LibSsl.New(_context);
            Require(_ssl != 0 ? 1 : 0, LibSsl.Ssl);
            _input = LibSsl.NewBio(LibSsl.MemoryMethod());
            _output = LibSsl.NewBio(LibSsl.MemoryMethod());
            LibSsl.SetBio(_ssl, _input, _output);
            begin(this);
        }
        catch (DllNotFoundException)
        {
            throw new UblkException(UblkError.NotSupported,
                $"TLS needs OpenSSL 3, and there is no {LibSsl.Ssl}. Install it: the package is called libssl3, openssl-libs or openssl.",
                operation: "tls");
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>Prepares the server's end.</summary>
    /// <param name="certificates">The server's certificates, and whether clients must have one.</param>
    /// <exception cref="UblkException">OpenSSL, a certificate or the key is missing.</exception>
    public static NbdTls ForServer(NbdServerCertificates certificates) => new(
        "with the client", LibSsl.ServerMethod, tls => tls.ConfigureServer(certificates), tls => LibSsl.SetAcceptState(tls._ssl));

    /// <summary>Whether there is something to send.</summary>
    public bool HasOutput => LibSsl.PendingIn(_output) > 0;

    /// <summary>Takes the handshake as far as what has come allows; what is to be sent is in the output.</summary>
    /// <returns>Whether it is complete.</returns>
    /// <exception cref="UblkException">The ends do not agree, or the server is not who it should be.</exception>
    public bool Handshake()
    {
        LibSsl.ClearErrors();
        NbdTlsKey.Offer(_key);
        int result = LibSsl.DoHandshake(_ssl);
        NbdTlsKey.Offer(null);
        if (result != 1)
        {
            return LibSsl.GetError(_ssl, result) == LibSsl.SSL_ERROR_WANT_READ ? false : throw Refused(DescribeFailure());
        }

        // Without a key there must have been a certificate, and with one it must have been used: in TLS 1.2 all ciphers use it.
        bool isProven = _key is null || LibSsl.IsSessionReused(_ssl) == 1 || LibSsl.GetVersion(_ssl) == LibSsl.TLS1_2_VERSION;
        return isProven ? true : throw Refused("the server does not use the pre-shared key");
    }

    /// <summary>Encrypts bytes; the result is in the output.</summary>
    /// <returns>False where that is impossible.</returns>
    public bool Encrypt(nint data, int length)
    {
        LibSsl.ClearErrors();
        return length == 0 || LibSsl.Write(_ssl, (void*)data, length) == length;
    }

    /// <summary>Takes what is to be sent.</summary>
    /// <returns>How many bytes.</returns>
    public int TakeOutput(nint room, int length) => int.Max(0, LibSsl.ReadBio(_output, (void*)room, length));

    /// <summary>Puts in what has come.</summary>
    public void AddInput(nint data, int length) => _ = LibSsl.WriteBio(_input, (void*)data, length);

    /// <summary>Decrypts as much of what has come as there is room for.</summary>
    /// <returns>How many bytes; 0 where more must come first, and -1 where nothing can come any more.</returns>
    public int Decrypt(nint room, int length)
    {
        LibSsl.ClearErrors();
        int count = LibSsl.Read(_ssl, (void*)room, length);
        return count > 0 ? count : LibSsl.GetError(_ssl, count) == LibSsl.SSL_ERROR_WANT_READ ? 0 : -1;
    }

    /// <summary>The reason for which nothing can be decrypted any more.</summary>
    public static string DescribeEnd() => LibSsl.TakeError() is var error && error != 0
        ? $"TLS failed: {Text(LibSsl.DescribeError(error))}"
        : "the other end closed the connection";

    /// <summary>Prepares close_notify; it is in the output.</summary>
    public void Shutdown() => _ = LibSsl.Shutdown(_ssl);

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_ssl != 0)
        {
            LibSsl.Free(_ssl);
        }

        if (_context != 0)
        {
            LibSsl.FreeContext(_context);
        }

        _key?.Dispose();
    }

    private static string Text(nint words) => Marshal.PtrToStringUTF8(words) ?? "unknown reason";

    private UblkException Refused(string reason) =>
        new(UblkError.ServerRefused, $"There is no TLS connection {_otherEnd}: {reason}.", operation: "tls");

    private NbdTlsKey? ConfigureClient(NbdTlsSettings settings)
    {
        // With a key there are no authorities, so that no certificate is good enough.
        LibSsl.SetVerify(_context, LibSsl.SSL_VERIFY_PEER, 0);
        if (settings.KeyFile is { } file)
        {
            NbdTlsKey key = NbdTlsKey.Read(file, settings.User);
            LibSsl.SetKeyCallback(_context, NbdTlsKey.Callback);
            LibSsl.SetOldKeyCallback(_context, NbdTlsKey.OldCallback);
            Require(LibSsl.SetCiphers(_context, KeyCiphers), "A pre-shared key");
            return key;
        }

        string? folder = settings.Certificates;
        RequireFolder(folder);
        string authorities = NbdServerCertificates.AuthoritiesIn(folder);
        Require(folder is not null && File.Exists(authorities)
            ? LibSsl.LoadAuthorities(_context, authorities, 0)
            : LibSsl.SetDefaultAuthorities(_context), authorities);
        if (folder is not null && File.Exists($"{folder}/client-cert.pem"))
        {
            UseCertificate(folder, "client");
        }

        return null;
    }

    private NbdTlsKey? ConfigureServer(NbdServerCertificates certificates)
    {
        RequireFolder(certificates.Folder);
        UseCertificate(certificates.Folder, "server");
        if (certificates.VerifiesClients)
        {
            string authorities = NbdServerCertificates.AuthoritiesIn(certificates.Folder);
            Require(LibSsl.LoadAuthorities(_context, authorities, 0), authorities);
            LibSsl.SetVerify(_context, LibSsl.SSL_VERIFY_PEER | LibSsl.SSL_VERIFY_FAIL_IF_NO_PEER_CERT, 0);
        }

        return null;
    }

    private static void RequireFolder(string? folder)
    {
        if (folder is not null && !Directory.Exists(folder))
        {
            throw new UblkException(UblkError.PathNotFound, $"There is no folder {folder}.", operation: "tls");
        }
    }

    private void UseCertificate(string folder, string owner)
    {
        string certificate = $"{folder}/{owner}-cert.pem";
        string key = $"{folder}/{owner}-key.pem";
        Require(LibSsl.UseCertificate(_context, certificate), certificate);
        Require(LibSsl.UsePrivateKey(_context, key, LibSsl.SSL_FILETYPE_PEM), key);
    }

    private void BeginClient(NbdTlsSettings settings)
    {
        LibSsl.SetConnectState(_ssl);
        if (_key is null)
        {
            RequireName(settings.HostName!);
        }
    }

    private void RequireName(string name)
    {
        if (IPAddress.TryParse(name, out _))
        {
            Require(LibSsl.SetAddress(LibSsl.GetVerifyParameters(_ssl), name), name);
        }
        else
        {
            Require(LibSsl.SetHost(_ssl, name), name);
            _ = LibSsl.Control(_ssl, LibSsl.SSL_CTRL_SET_TLSEXT_HOSTNAME, 0, name);
        }
    }

    private string DescribeFailure()
    {
        nint verified = LibSsl.GetVerifyResult(_ssl);
        string certificate = verified == LibSsl.X509_V_OK ? "" : $" ({Text(LibSsl.DescribeVerifyResult(verified))})";
        return LibSsl.TakeError() is var error && error != 0 ? $"{Text(LibSsl.DescribeError(error))}{certificate}" : "it ended";
    }

    private static void Require(int result, string file)
    {
        if (result != 1)
        {
            throw new UblkException(UblkError.InvalidArgument,
                $"{file} cannot be used for TLS: {Text(LibSsl.DescribeError(LibSsl.TakeError()))}.", operation: "tls");
        }
    }
}

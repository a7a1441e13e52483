using System.Runtime.InteropServices;

namespace Ublk.Interop;

/// <summary>OpenSSL's TLS, from version 3.0 on: found when it is first called, so that a worker without TLS does without it.</summary>
internal static unsafe partial class LibSsl
{
    public const string Ssl = "libssl.so.3";
    public const string Crypto = "libcrypto.so.3";

    // openssl/ssl.h
    public const int SSL_VERIFY_PEER = 1;
    public const int SSL_VERIFY_FAIL_IF_NO_PEER_CERT = 2;
    public const int SSL_FILETYPE_PEM = 1;
    public const int SSL_ERROR_WANT_READ = 2;
    public const int SSL_CTRL_SET_TLSEXT_HOSTNAME = 55;
    public const int SSL_CTRL_SET_MIN_PROTO_VERSION = 123;
    public const int TLS1_2_VERSION = 0x0303;
    public const int TLS1_3_VERSION = 0x0304;

    // openssl/x509_vfy.h
    public const int X509_V_OK = 0;

    [LibraryImport(Ssl, EntryPoint = "TLS_client_method")]
    public static partial nint ClientMethod();

    [LibraryImport(Ssl, EntryPoint = "TLS_server_method")]
    public static partial nint ServerMethod();

    [LibraryImport(Ssl, EntryPoint = "SSL_CTX_new")]
    public static partial nint NewContext(nint method);

    [LibraryImport(Ssl, EntryPoint = "SSL_CTX_free")]
    public static partial void FreeContext(nint context);

    [LibraryImport(Ssl, EntryPoint = "SSL_CTX_ctrl")]
    public static partial nint ControlContext(nint context, int command, nint number, nint pointer);

    [LibraryImport(Ssl, EntryPoint = "SSL_CTX_set_verify")]
    public static partial void SetVerify(nint context, int mode, nint callback);

    [LibraryImport(Ssl, EntryPoint = "SSL_CTX_set_default_verify_paths")]
    public static partial int SetDefaultAuthorities(nint context);

    [LibraryImport(Ssl, EntryPoint = "SSL_CTX_load_verify_locations", StringMarshalling = StringMarshalling.Utf8)]
    public static partial int LoadAuthorities(nint context, string file, nint folder);

    [LibraryImport(Ssl, EntryPoint = "SSL_CTX_use_certificate_chain_file", StringMarshalling = StringMarshalling.Utf8)]
    public static partial int UseCertificate(nint context, string file);

    [LibraryImport(Ssl, EntryPoint = "SSL_CTX_use_PrivateKey_file", StringMarshalling = StringMarshalling.Utf8)]
    public static partial int UsePrivateKey(nint context, string file, int type);

    [LibraryImport(Ssl, EntryPoint = "SSL_CTX_set_psk_use_session_callback")]
    public static partial void SetKeyCallback(nint context, delegate* unmanaged<nint, nint, byte**, nuint*, nint*, int> callback);

    /// <summary>The callback of TLS 1.2: copies the name and the key, and returns the key's length.</summary>
    [LibraryImport(Ssl, EntryPoint = "SSL_CTX_set_psk_client_callback")]
    public static partial void SetOldKeyCallback(nint context, delegate* unmanaged<nint, byte*, byte*, uint, byte*, uint, uint> callback);

    /// <summary>The ciphers of TLS 1.2.</summary>
    [LibraryImport(Ssl, EntryPoint = "SSL_CTX_set_cipher_list", StringMarshalling = StringMarshalling.Utf8)]
    public static partial int SetCiphers(nint context, string list);

    [LibraryImport(Ssl, EntryPoint = "SSL_version")]
    public static partial int GetVersion(nint ssl);

    [LibraryImport(Ssl, EntryPoint = "SSL_new")]
    public static partial nint New(nint context);

    [LibraryImport(Ssl, EntryPoint = "SSL_free")]
    public static partial void Free(nint ssl);

    [LibraryImport(Ssl, EntryPoint = "SSL_set_connect_state")]
    public static partial void SetConnectState(nint ssl);

    [LibraryImport(Ssl, EntryPoint = "SSL_set_accept_state")]
    public static partial void SetAcceptState(nint ssl);

    [LibraryImport(Ssl, EntryPoint = "SSL_set_bio")]
    public static partial void SetBio(nint ssl, nint read, nint write);

    [LibraryImport(Ssl, EntryPoint = "SSL_ctrl", StringMarshalling = StringMarshalling.Utf8)]
    public static partial nint Control(nint ssl, int command, nint number, string text);

    [LibraryImport(Ssl, EntryPoint = "SSL_set1_host", StringMarshalling = StringMarshalling.Utf8)]
    public static partial int SetHost(nint ssl, string name);

    [LibraryImport(Ssl, EntryPoint = "SSL_get0_param")]
    public static partial nint GetVerifyParameters(nint ssl);

    [LibraryImport(Ssl, EntryPoint = "SSL_do_handshake")]
    public static partial int DoHandshake(nint ssl);

    [LibraryImport(Ssl, EntryPoint = "SSL_get_error")]
    public static partial int GetError(nint ssl, int result);

    [LibraryImport(Ssl, EntryPoint = "SSL_get_verify_result")]
    public static partial nint GetVerifyResult(nint ssl);

    [LibraryImport(Ssl, EntryPoint = "SSL_session_reused")]
    public static partial int IsSessionReused(nint ssl);

    [LibraryImport(Ssl, EntryPoint = "SSL_read")]
    public static partial int Read(nint ssl, void* data, int length);

    [LibraryImport(Ssl, EntryPoint = "SSL_write")]
    public static partial int Write(nint ssl, void* data, int length);

    [LibraryImport(Ssl, EntryPoint = "SSL_shutdown")]
    public static partial int Shutdown(nint ssl);

    [LibraryImport(Ssl, EntryPoint = "SSL_CIPHER_find")]
    public static partial nint FindCipher(nint ssl, byte* number);

    [LibraryImport(Ssl, EntryPoint = "SSL_SESSION_new")]
    public static partial nint NewSession();

    [LibraryImport(Ssl, EntryPoint = "SSL_SESSION_set1_master_key")]
    public static partial int SetSessionKey(nint session, byte* key, nuint length);

    [LibraryImport(Ssl, EntryPoint = "SSL_SESSION_set_cipher")]
    public static partial int SetSessionCipher(nint session, nint cipher);

    [LibraryImport(Ssl, EntryPoint = "SSL_SESSION_set_protocol_version")]
    public static partial int SetSessionVersion(nint session, int version);

    [LibraryImport(Crypto, EntryPoint = "X509_VERIFY_PARAM_set1_ip_asc", StringMarshalling = StringMarshalling.Utf8)]
    public static partial int SetAddress(nint parameters, string address);

    [LibraryImport(Crypto, EntryPoint = "X509_verify_cert_error_string")]
    public static partial nint DescribeVerifyResult(nint result);

    [LibraryImport(Crypto, EntryPoint = "BIO_s_mem")]
    public static partial nint MemoryMethod();

    [LibraryImport(Crypto, EntryPoint = "BIO_new")]
    public static partial nint NewBio(nint method);

    [LibraryImport(Crypto, EntryPoint = "BIO_read")]
    public static partial int ReadBio(nint bio, void* data, int length);

    [LibraryImport(Crypto, EntryPoint = "BIO_write")]
    public static partial int WriteBio(nint bio, void* data, int length);

    [LibraryImport(Crypto, EntryPoint = "BIO_ctrl_pending")]
    public static partial nuint PendingIn(nint bio);

    [LibraryImport(Crypto, EntryPoint = "ERR_get_error")]
    public static partial nuint TakeError();

    [LibraryImport(Crypto, EntryPoint = "ERR_clear_error")]
    public static partial void ClearErrors();

    [LibraryImport(Crypto, EntryPoint = "ERR_reason_error_string")]
    public static partial nint DescribeError(nuint error);
}

using System.Globalization;
using System.Text;
using Ublk.Interop;

namespace Ublk.Targets.Nbd;

/// <summary>
/// Where an export is, as the NBD project's URI scheme has it: <c>nbd://host:port/export</c> or <c>nbd+unix:///export?socket=path</c>, and
/// <c>nbds</c> in the place of <c>nbd</c> for TLS.
/// </summary>
/// <param name="Host">The server's name or address; null for a Unix socket.</param>
/// <param name="Port">Its TCP port.</param>
/// <param name="SocketPath">The Unix socket's path; null for TCP.</param>
/// <param name="Export">The export's name; empty for the server's default.</param>
/// <param name="Tls">The encryption; null for none.</param>
internal sealed record NbdUri(string? Host, int Port, string? SocketPath, string Export, NbdTlsSettings? Tls = null)
{
    private const string SocketKey = "socket";
    private const string CertificatesKey = "tls-certificates";
    private const string KeyFileKey = "tls-psk-file";
    private const string UserKey = "tls-username";
    private const string HostNameKey = "tls-hostname";

    /// <summary>The server, in words.</summary>
    public string Server => SocketPath ?? (Host!.Contains(':', StringComparison.Ordinal) ? $"[{Host}]:{Port}" : $"{Host}:{Port}");

    /// <summary>Reads a URI.</summary>
    /// <exception cref="UblkException">The text is not an NBD URI, or uses an unsupported feature.</exception>
    public static NbdUri Parse(string text)
    {
        int schemeEnd = text.IndexOf("://", StringComparison.Ordinal);
        string scheme = schemeEnd < 0 ? "" : text[..schemeEnd].ToLowerInvariant();
        if (scheme is "nbd+vsock" or "nbds+vsock")
        {
            throw new UblkException(UblkError.NotSupported,
                $"'{text}' is a vsock address, which the Nbd target does not support. Use nbd or nbd+unix.");
        }

        if (scheme is not ("nbd" or "nbds" or "nbd+unix" or "nbds+unix"))
        {
            throw Invalid(text, "It must begin with nbd://, nbds://, nbd+unix:// or nbds+unix://");
        }

        string rest = text[(schemeEnd + 3)..];
        if (rest.Contains('#', StringComparison.Ordinal))
        {
            throw Invalid(text, "A # must be written as %23");
        }

        (rest, string query) = Split(rest, '?');
        (string authority, string path) = Split(rest, '/');
        string export = Decode(text, path);
        if (Encoding.UTF8.GetByteCount(export) > NbdProtocol.MaxText)
        {
            throw Invalid(text, $"The name of an export has at most {NbdProtocol.MaxText} bytes");
        }

        Dictionary<string, string> parameters = ParametersOf(text, query);
        string? user = parameters.GetValueOrDefault(UserKey);
        int at = authority.IndexOf('@', StringComparison.Ordinal);
        if (at >= 0)
        {
            user ??= Decode(text, authority[..at]);
            authority = authority[(at + 1)..];
        }

        bool isTls = scheme.StartsWith("nbds", StringComparison.Ordinal);
        if (!isTls && (user is not null || parameters.Keys.Any(key => key != SocketKey)))
        {
            throw Invalid(text, "User names, keys and certificates need TLS: nbds:// or nbds+unix://");
        }

        string? socket = parameters.GetValueOrDefault(SocketKey);
        NbdUri uri = scheme.EndsWith("unix", StringComparison.Ordinal)
            ? OfUnix(text, authority, socket, export)
            : OfTcp(text, authority, socket, export);
        return isTls ? uri with { Tls = TlsOf(text, uri, user, parameters) } : uri;
    }

    /// <summary>The same with certificates of a folder, if one is given.</summary>
    /// <exception cref="UblkException">The URI is without TLS, or with a key.</exception>
    public NbdUri WithCertificates(string? folder) => folder is null ? this
        : Tls is { KeyFile: null } tls ? this with { Tls = tls with { Certificates = folder } }
        : throw new UblkException(UblkError.InvalidArgument, "TlsCertificates needs a Uri with nbds:// or nbds+unix://, and no key.");

    private static NbdTlsSettings TlsOf(string text, NbdUri uri, string? user, Dictionary<string, string> parameters)
    {
        string? certificates = parameters.GetValueOrDefault(CertificatesKey);
        string? keys = parameters.GetValueOrDefault(KeyFileKey);
        if ((certificates ?? "/")[0] != '/' || (keys ?? "/")[0] != '/')
        {
            throw Invalid(text, "The paths of keys and certificates are absolute");
        }

        if (keys is null ? user is not null : certificates is not null)
        {
            throw Invalid(text, $"A user name needs {KeyFileKey}, which excludes {CertificatesKey}");
        }

        string? name = parameters.GetValueOrDefault(HostNameKey) ?? uri.Host;
        return name is not null || keys is not null
            ? new NbdTlsSettings(name, certificates, keys, user)
            : throw Invalid(text, $"Over a Unix socket, TLS with certificates needs the server's name: {HostNameKey}");
    }

    private static NbdUri OfTcp(string text, string authority, string? socket, string export)
    {
        if (socket is not null)
        {
            throw Invalid(text, "A socket path needs nbd+unix");
        }

        int bracket = authority.StartsWith('[') ? authority.IndexOf(']', StringComparison.Ordinal) : -1;
        int colon = authority.IndexOf(':', bracket + 1);
        string host = bracket > 0 ? authority[1..bracket] : Decode(text, colon < 0 ? authority : authority[..colon]);
        bool isCut = bracket > 0 && (colon < 0 ? authority.Length : colon) != bracket + 1;
        int port = NbdProtocol.DefaultPort;
        bool hasPort = colon < 0 || int.TryParse(authority.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out port);
        if (host.Length == 0 || isCut || !hasPort || port is < 1 or > ushort.MaxValue)
        {
            throw Invalid(text, "nbd:// must be followed by a host, optionally with a colon and a port");
        }

        return new NbdUri(host, port, null, export);
    }

    private static NbdUri OfUnix(string text, string authority, string? socket, string export)
    {
        if (authority.Length > 0)
        {
            throw Invalid(text, "A Unix socket has no host: three slashes follow nbd+unix:");
        }

        if (socket is null || !socket.StartsWith('/'))
        {
            throw Invalid(text, "It needs the socket's absolute path: nbd+unix:///export?socket=/path");
        }

        return RawText.ToBytes(socket).Length < Libc.UnixPathMax
            ? new NbdUri(null, 0, socket, export)
            : throw Invalid(text, $"A socket's path has at most {Libc.UnixPathMax - 1} bytes");
    }

    private static Dictionary<string, string> ParametersOf(string text, string query)
    {
        Dictionary<string, string> parameters = [];
        foreach (string parameter in query.Split('&', StringSplitOptions.RemoveEmptyEntries))
        {
            (string key, string value) = Split(parameter, '=');
            if (key is not (SocketKey or CertificatesKey or KeyFileKey or UserKey or HostNameKey))
            {
                throw new UblkException(UblkError.NotSupported,
                    $"The Nbd target does not support '{key}' in '{text}'. It supports {SocketKey}, {CertificatesKey}, {KeyFileKey}, "
                        + $"{UserKey} and {HostNameKey}.");
            }

            parameters[key] = Decode(text, value) is { Length: > 0 } decoded ? decoded : throw Invalid(text, $"{key} has no value");
        }

        return parameters;
    }

    private static (string Before, string After) Split(string text, char separator)
    {
        int place = text.IndexOf(separator, StringComparison.Ordinal);
        return place < 0 ? (text, "") : (text[..place], text[(place + 1)..]);
    }

    private static string Decode(string text, string part)
    {
        string decoded = Uri.UnescapeDataString(part);
        return decoded.Contains('\0', StringComparison.Ordinal) ? throw Invalid(text, "It has a zero byte") : decoded;
    }

    private static UblkException Invalid(string text, string reason) =>
        new(UblkError.InvalidArgument, $"'{text}' is not an NBD URI. {reason}.");
}

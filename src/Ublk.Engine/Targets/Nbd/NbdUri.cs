using System.Globalization;
using System.Text;
using Ublk.Interop;

namespace Ublk.Targets.Nbd;

/// <summary>
/// Where an export is, as the NBD project's URI scheme has it: <c>nbd://host:port/export</c> or <c>nbd+unix:///export?socket=path</c>.
/// </summary>
/// <param name="Host">The server's name or address; null for a Unix socket.</param>
/// <param name="Port">Its TCP port.</param>
/// <param name="SocketPath">The Unix socket's path; null for TCP.</param>
/// <param name="Export">The export's name; empty for the server's default.</param>
internal sealed record NbdUri(string? Host, int Port, string? SocketPath, string Export)
{
    private const string SocketKey = "socket";

    /// <summary>The server, in words.</summary>
    public string Server => SocketPath ?? (Host!.Contains(':', StringComparison.Ordinal) ? $"[{Host}]:{Port}" : $"{Host}:{Port}");

    /// <summary>Reads a URI.</summary>
    /// <exception cref="UblkException">It is none, or asks for what is not supported.</exception>
    public static NbdUri Parse(string text)
    {
        int schemeEnd = text.IndexOf("://", StringComparison.Ordinal);
        string scheme = schemeEnd < 0 ? "" : text[..schemeEnd].ToLowerInvariant();
        switch (scheme)
        {
            case "nbd" or "nbd+unix":
                break;
            case "nbds" or "nbds+unix":
                string plain = scheme.Replace("nbds", "nbd", StringComparison.Ordinal);
                throw new UblkException(UblkError.NotSupported,
                    $"'{text}' requires TLS, which the Nbd target does not support. Use {plain} through a tunnel such as ssh or stunnel.");
            case "nbd+vsock" or "nbds+vsock":
                throw new UblkException(UblkError.NotSupported,
                    $"'{text}' is a vsock address, which the Nbd target does not support. Use nbd or nbd+unix.");
            default:
                throw Invalid(text, "It must begin with nbd:// or nbd+unix://");
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

        string? socket = SocketOf(text, query);
        return scheme == "nbd" ? OfTcp(text, authority, socket, export) : OfUnix(text, authority, socket, export);
    }

    private static NbdUri OfTcp(string text, string authority, string? socket, string export)
    {
        if (socket is not null)
        {
            throw Invalid(text, "A socket's path goes with nbd+unix");
        }

        // A user's name is part of the scheme for the sake of TLS.
        if (authority.Contains('@', StringComparison.Ordinal))
        {
            throw Invalid(text, "A user's name goes with TLS alone");
        }

        int bracket = authority.StartsWith('[') ? authority.IndexOf(']', StringComparison.Ordinal) : -1;
        int colon = authority.IndexOf(':', bracket + 1);
        string host = bracket > 0 ? authority[1..bracket] : Decode(text, colon < 0 ? authority : authority[..colon]);
        bool isCut = bracket > 0 && (colon < 0 ? authority.Length : colon) != bracket + 1;
        int port = NbdProtocol.DefaultPort;
        bool hasPort = colon < 0 || int.TryParse(authority.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out port);
        if (host.Length == 0 || isCut || !hasPort || port is < 1 or > ushort.MaxValue)
        {
            throw Invalid(text, "Behind nbd:// comes a host, and perhaps a colon and a port");
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

    private static string? SocketOf(string text, string query)
    {
        string? socket = null;
        foreach (string parameter in query.Split('&', StringSplitOptions.RemoveEmptyEntries))
        {
            (string key, string value) = Split(parameter, '=');
            socket = key == SocketKey
                ? Decode(text, value)
                : throw new UblkException(UblkError.NotSupported,
                    $"The Nbd target does not support '{key}' in '{text}'. It supports socket only.");
        }

        return socket;
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

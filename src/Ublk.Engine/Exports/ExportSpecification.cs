using System.Net;
using Ublk.Files;
using Ublk.Interop;

namespace Ublk.Exports;

/// <summary>Everything a worker must know to export one disk.</summary>
internal sealed record ExportSpecification
{
    /// <summary>The maximum length of a name, so that a unit and a socket can have it.</summary>
    public const int MaxName = 64;

    /// <summary>The export's name.</summary>
    public required string Name { get; init; }

    /// <summary>The image or block device, by its absolute path.</summary>
    public required string Path { get; init; }

    /// <summary>Its format; null to see by how it begins.</summary>
    public ImageFormat? Format { get; init; }

    /// <summary>The format of the backing file where the image does not name it.</summary>
    public ImageFormat? BackingFormat { get; init; }

    /// <summary>The id or name of an internal snapshot; null for the disk as it is.</summary>
    public string? Snapshot { get; init; }

    /// <summary>The file with the passphrase of an encrypted image.</summary>
    public string? KeyFile { get; init; }

    /// <summary>Whether clients may write.</summary>
    public bool Writable { get; init; }

    /// <summary>The Unix socket; null for TCP.</summary>
    public string? SocketPath { get; init; }

    /// <summary>The address of TCP.</summary>
    public string Address { get; init; } = "127.0.0.1";

    /// <summary>The port of TCP; 0 for a Unix socket.</summary>
    public int Port { get; init; }

    /// <summary>The folder of certificates, with which TLS is required; null for none.</summary>
    public string? TlsCertificates { get; init; }

    /// <summary>Where clients find it, as the NBD project's URI scheme has it.</summary>
    public string Uri
    {
        get
        {
            string scheme = TlsCertificates is null ? "nbd" : "nbds";
            return SocketPath is { } path
                ? $"{scheme}+unix:///{Name}?socket={System.Uri.EscapeDataString(path).Replace("%2F", "/", StringComparison.Ordinal)}"
                : $"{scheme}://{new IPEndPoint(IPAddress.Parse(Address), Port)}/{Name}";
        }
    }

    /// <summary>A name for the export of a file: that of the file, without its extension.</summary>
    public static string NameFor(string path)
    {
        string name = System.IO.Path.GetFileNameWithoutExtension(path);
        string allowed = new([.. name.Take(MaxName).Select(character => IsAllowed(character) ? character : '-')]);
        return allowed.TrimStart('.', '-') is { Length: > 0 } usable ? usable : "disk";
    }

    /// <summary>Checks what can be checked without touching a file.</summary>
    /// <exception cref="UblkException">A value is out of range, or contradicts another.</exception>
    public void Validate()
    {
        Require(Name.Length is > 0 and <= MaxName && Name[0] is not ('.' or '-') && Name.All(IsAllowed),
            $"An export's name has up to {MaxName} letters, digits, dots, dashes and underscores, and does not begin with a dot or dash: "
                + $"not '{Name}'.");
        Require(SocketPath is not null || Port is > 0 and <= ushort.MaxValue, $"Port must be from 1 to {ushort.MaxValue}, not {Port}.");
        Require(SocketPath is null || RawText.ToBytes(SocketPath).Length < Libc.UnixPathMax,
            $"A socket's path has at most {Libc.UnixPathMax - 1} bytes; {SocketPath} has more. Choose another -Socket.");
        Require(IPAddress.TryParse(Address, out IPAddress? address), $"'{Address}' is not an IP address.");
        Require(SocketPath is not null || TlsCertificates is not null || IPAddress.IsLoopback(address!),
            $"Other machines that reach {Address} could read the disk. Add -TlsCertificates, or use a loopback address.");
        Require(!Writable || Snapshot is null, "A snapshot is never written. Leave out -Writable or -Snapshot.");
    }

    private static bool IsAllowed(char character) => char.IsAsciiLetterOrDigit(character) || character is '.' or '-' or '_';

    private static void Require(bool condition, string message)
    {
        if (!condition)
        {
            throw new UblkException(UblkError.InvalidArgument, message);
        }
    }
}

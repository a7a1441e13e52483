namespace Ublk.Targets.Nbd;

/// <summary>How a connection is encrypted, and how both ends show who they are.</summary>
/// <param name="HostName">The name or address that the server's certificate must have.</param>
/// <param name="Certificates">
/// A folder of ca-cert.pem, client-cert.pem and client-key.pem, each of which may be missing; null for the system's authorities.
/// </param>
/// <param name="KeyFile">In the place of certificates, a file of pre-shared keys: lines of <c>user:key</c> with the key in hex.</param>
/// <param name="User">Whose key; null for the only one of the file.</param>
internal sealed record NbdTlsSettings(string? HostName, string? Certificates, string? KeyFile, string? User);

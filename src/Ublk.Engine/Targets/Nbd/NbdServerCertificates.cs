namespace Ublk.Targets.Nbd;

/// <summary>The certificates of a server.</summary>
/// <param name="Folder">The folder of server-cert.pem and server-key.pem.</param>
/// <param name="VerifiesClients">Whether clients must have a certificate of the authority in the folder's ca-cert.pem.</param>
internal sealed record NbdServerCertificates(string Folder, bool VerifiesClients)
{
    /// <summary>The certificates of a folder. Clients are verified if it has a ca-cert.pem now, also after that file is deleted.</summary>
    public static NbdServerCertificates In(string folder) => new(folder, File.Exists(AuthoritiesIn(folder)));

    /// <summary>The file of authorities in a folder of certificates.</summary>
    public static string AuthoritiesIn(string? folder) => $"{folder}/ca-cert.pem";
}

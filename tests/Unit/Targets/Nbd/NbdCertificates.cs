namespace Ublk.Tests.Targets.Nbd;

/// <summary>An authority, and what it has signed for a server at localhost and for a client; and a file of keys.</summary>
public sealed class NbdCertificates : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("ublk-nbd-");

    public NbdCertificates()
    {
        MakeAuthority(Folder);
        Sign(Folder, "server", "DNS:localhost,IP:127.0.0.1");
        Sign(Folder, "client", "DNS:client");
        Directory.CreateDirectory(Authority);
        File.Copy($"{Folder}/ca-cert.pem", $"{Authority}/ca-cert.pem");
        Directory.CreateDirectory(Stranger);
        MakeAuthority(Stranger);
        File.WriteAllText(Keys, $"alice:{Key}\nbob:{new string('0', 32)}\n");
        File.WriteAllText(WrongKeys, $"alice:{new string('1', 32)}\n");
    }

    /// <summary>The folder with all of it.</summary>
    public string Folder => _folder.FullName;

    /// <summary>One with the authority alone.</summary>
    public string Authority => $"{Folder}/authority";

    /// <summary>One with another authority.</summary>
    public string Stranger => $"{Folder}/stranger";

    /// <summary>Keys of alice and bob.</summary>
    public string Keys => $"{Folder}/keys.psk";

    /// <summary>Another key of alice.</summary>
    public string WrongKeys => $"{Folder}/wrong.psk";

    private static string Key => "00112233445566778899aabbccddeeff";

    public void Dispose() => _folder.Delete(recursive: true);

    private static void MakeAuthority(string folder) => Shell.Run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
        "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=Test", "-addext", "keyUsage=critical,keyCertSign,cRLSign",
        "-keyout", $"{folder}/ca-key.pem", "-out", $"{folder}/ca-cert.pem");

    private static void Sign(string folder, string name, string names)
    {
        string request = $"{folder}/{name}.csr";
        string extensions = $"{folder}/{name}.ext";
        File.WriteAllText(extensions, $"subjectAltName={names}\nkeyUsage=digitalSignature\nextendedKeyUsage={name}Auth\n");
        Shell.Run("openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", $"/CN={name}",
            "-keyout", $"{folder}/{name}-key.pem", "-out", request);
        Shell.Run("openssl", "x509", "-req", "-in", request, "-CA", $"{folder}/ca-cert.pem", "-CAkey", $"{folder}/ca-key.pem",
            "-CAcreateserial", "-days", "2", "-extfile", extensions, "-out", $"{folder}/{name}-cert.pem");
    }
}

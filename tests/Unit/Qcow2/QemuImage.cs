using System.Collections.Concurrent;
using System.Text.Json;

namespace Ublk.Tests.Qcow2;

/// <summary>Images in a directory that goes with the test, made, changed and judged by qemu's own tools.</summary>
internal sealed class QemuImage : IDisposable
{
    /// <summary>That of all encrypted images.</summary>
    public const string Passphrase = "open sesame";

    // qemu-img measures the processor for two seconds before it encrypts, so images that several tests want are copied.
    private static readonly ConcurrentDictionary<string, Lazy<byte[]>> s_encrypted = new();

    private readonly DirectoryInfo _directory;

    /// <summary>Makes the first image.</summary>
    /// <param name="size">Size of the disk, as qemu-img reads it.</param>
    /// <param name="options">Options of the format with commas between them, or none.</param>
    /// <param name="parent">Where the directory is made. /var/tmp is on a disk's file system, /dev/shm on tmpfs.</param>
    public QemuImage(string size, string options = "", string parent = "/var/tmp")
    {
        _directory = Directory.CreateDirectory($"{parent}/ublk-qcow2-{Guid.NewGuid():N}");
        Create("disk.qcow2", size, options);
    }

    /// <summary>The file with the passphrase of the images, where they are encrypted.</summary>
    public string? KeyFile { get; private set; }

    /// <summary>The image, as arguments of qemu's programs.</summary>
    public string[] Source => KeyFile is null
        ? ["-f", "qcow2", Path]
        : ["--object", $"secret,id=key,file={KeyFile}", "--image-opts", $"driver=qcow2,file.filename={Path},encrypt.key-secret=key"];

    /// <summary>The image's path.</summary>
    public string Path => PathOf("disk.qcow2");

    /// <summary>The path of another file in the directory.</summary>
    public string PathOf(string name) => System.IO.Path.Combine(_directory.FullName, name);

    /// <summary>Makes another image.</summary>
    public void Create(string name, string size, string options = "", params string[] more) => Shell.Run("qemu-img",
        ["create", "-q", "-f", "qcow2", .. options.Length == 0 ? Array.Empty<string>() : ["-o", options], .. more, PathOf(name), size]);

    /// <summary>Makes an encrypted image in the place of the first.</summary>
    /// <param name="size">Size of the disk.</param>
    /// <param name="kind">luks or aes.</param>
    /// <param name="options">More options of the format, or none.</param>
    /// <param name="more">More arguments.</param>
    public void Encrypt(string size, string kind, string options = "", params string[] more)
    {
        KeyFile = PathOf("key");
        File.WriteAllText(KeyFile, Passphrase);
        string all = $"encrypt.format={kind},encrypt.key-secret=key"
            + (kind == "luks" ? ",encrypt.iter-time=1" : "") + (options.Length > 0 ? $",{options}" : "");
        bool isAlone = more.Length == 0 && !options.Contains('/', StringComparison.Ordinal);
        if (!isAlone)
        {
            CreateEncrypted();
            return;
        }

        Lazy<byte[]> content = s_encrypted.GetOrAdd($"{size} {all}", _ => new Lazy<byte[]>(() =>
        {
            CreateEncrypted();
            return File.ReadAllBytes(Path);
        }));
        File.WriteAllBytes(Path, content.Value);

        void CreateEncrypted() => Create("disk.qcow2", size, all, ["--object", $"secret,id=key,file={KeyFile}", .. more]);
    }

    /// <summary>Has qemu-io do things to the image.</summary>
    public void Play(params string[] commands) =>
        Shell.Run("qemu-io", [.. commands.SelectMany(command => new[] { "-c", command }), .. Source]);

    /// <summary>Has qemu-img make (-c), go back to (-a) or remove (-d) a snapshot.</summary>
    public void Snapshot(string option, string name) =>
        Shell.Run("qemu-img", ["snapshot", option, name, .. KeyFile is null ? [Path] : Source]);

    /// <summary>What <c>qemu-img info</c> tells.</summary>
    public JsonElement Info() => JsonDocument.Parse(Shell.Run("qemu-img", "info", "--output=json", Path)).RootElement;

    /// <summary>The image must be without errors and without leaks by <c>qemu-img check</c>.</summary>
    public void Check() => Shell.Run("qemu-img", ["check", "-q", .. Source]);

    /// <summary>The image must be without errors; clusters may be lost.</summary>
    public void CheckButForLeaks() => Shell.Run(
        "sh", "-c",
            $"out=$(qemu-img check -f qcow2 '{Path}' 2>&1); status=$?; [ $status = 0 ] || [ $status = 3 ] || {{ echo \"$out\" >&2; "
                + "exit 1; }");

    /// <summary>The whole disk as qemu reads it.</summary>
    public byte[] Read()
    {
        string raw = PathOf("disk.raw");
        Shell.Run("qemu-img", ["convert", "-O", "raw", .. Source, raw]);
        return File.ReadAllBytes(raw);
    }

    public void Dispose() => _directory.Delete(recursive: true);
}

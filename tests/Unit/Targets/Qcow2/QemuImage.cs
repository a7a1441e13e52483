using System.Text.Json;

namespace Ublk.Tests.Targets.Qcow2;

/// <summary>Images in a directory that goes with the test, made, changed and judged by qemu's own tools.</summary>
internal sealed class QemuImage : IDisposable
{
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

    /// <summary>The image's path.</summary>
    public string Path => PathOf("disk.qcow2");

    /// <summary>The path of another file in the directory.</summary>
    public string PathOf(string name) => System.IO.Path.Combine(_directory.FullName, name);

    /// <summary>Makes another image.</summary>
    public void Create(string name, string size, string options = "", params string[] more) => Shell.Run("qemu-img",
        ["create", "-q", "-f", "qcow2", .. options.Length == 0 ? Array.Empty<string>() : ["-o", options], .. more, PathOf(name), size]);

    /// <summary>Has qemu-io do things to the image.</summary>
    public void Play(params string[] commands) => Shell.Run("qemu-io",
        ["-f", "qcow2", .. commands.SelectMany(command => new[] { "-c", command }), Path]);

    /// <summary>What <c>qemu-img info</c> tells.</summary>
    public JsonElement Info() => JsonDocument.Parse(Shell.Run("qemu-img", "info", "--output=json", Path)).RootElement;

    /// <summary>The image must be without errors and without leaks by <c>qemu-img check</c>.</summary>
    public void Check() => Shell.Run("qemu-img", "check", "-q", "-f", "qcow2", Path);

    /// <summary>The image must be without errors; clusters may be lost.</summary>
    public void CheckButForLeaks() => Shell.Run(
        "sh", "-c", $"out=$(qemu-img check -f qcow2 '{Path}' 2>&1); status=$?; [ $status = 0 ] || [ $status = 3 ] || {{ echo \"$out\" >&2; exit 1; }}");

    /// <summary>The whole disk as qemu reads it.</summary>
    public byte[] Read()
    {
        string raw = PathOf("disk.raw");
        Shell.Run("qemu-img", "convert", "-f", "qcow2", "-O", "raw", Path, raw);
        return File.ReadAllBytes(raw);
    }

    public void Dispose() => _directory.Delete(recursive: true);
}

using System.Text;
using ImageProgress = Ublk.Qcow2.AtRest.ImageProgress;
using Ublk.Files;
using Ublk.Io;
using Ublk.Qcow2.AtRest;
using Ublk.Qcow2.Data;
using Ublk.Qcow2.Format;
using Ublk.Qcow2.Opening;

namespace Ublk.Tests.Qcow2.Crash;

/// <summary>An image on a simulated disk, opened without a queue: everything runs at once.</summary>
internal static class SimulatedImage
{
    /// <summary>The name of the image's own file.</summary>
    public const string Name = "disk.qcow2";

    /// <summary>Opens it.</summary>
    public static Qcow2Layer Open(SimulatedDisk disk, ImageOptions options, out ImageUpdater? updater) =>
        new ImageOpener(disk.Open, options with { Passphrase = Encoding.UTF8.GetBytes(QemuImage.Passphrase) }).Open(Name, out updater);

    /// <summary>All that an image, or one of its snapshots, reads as.</summary>
    public static byte[] Read(SimulatedDisk disk, string? snapshot = null)
    {
        using Qcow2Layer layer = Open(disk, new ImageOptions { ReadOnly = true, Snapshot = snapshot }, out _);
        return Read(layer);
    }

    /// <summary>All that an open image reads as.</summary>
    public static byte[] Read(Qcow2Layer layer)
    {
        byte[] content = new byte[layer.Size];
        using AlignedBuffer buffer = new(64 << 10);
        for (int start = 0; start < content.Length; start += buffer.Length)
        {
            IoBuffer part = buffer.Part(0, int.Min(buffer.Length, content.Length - start));
            Assert.Equal(0, ImageFile.ResultOf(layer.Reader.ReadAsync(part, start)));
            part.Span.CopyTo(content.AsSpan(start));
        }

        return content;
    }

    /// <summary>What our own check says against an image: errors, and leaks if they matter.</summary>
    public static string? FindErrors(SimulatedDisk disk, bool leaksMatter, string name = Name)
    {
        using Qcow2File image = Qcow2File.Read(new SimulatedDiskFile(disk.Files[name], name));
        CheckFindings findings = Qcow2Check.Of(image, ImageProgress.None).Findings;
        return findings.Corruptions > 0 || (leaksMatter && findings.Leaks > 0) ? string.Join("\n", findings.Texts) : null;
    }

    /// <summary>What <c>qemu-img check</c> says against an image: errors alone.</summary>
    public static void CheckWithQemu(SimulatedDisk disk, string folder)
    {
        // qemu opens its data, which it looks for in the current directory, and what is under it too.
        Save(disk, folder);
        string source = disk.Files.ContainsKey("key")
            ? $"--object secret,id=key,file=key --image-opts driver=qcow2,file.filename={Name},encrypt.key-secret=key"
            : $"-f qcow2 {Name}";
        Shell.Run("sh", "-c",
            $"cd '{folder}' || exit; out=$(qemu-img check {source} 2>&1); status=$?; [ $status = 0 ] || [ $status = 3 ] || "
                + $"{{ echo \"$out\" >&2; exit 1; }}");
    }

    /// <summary>Writes the disk's files into a folder.</summary>
    /// <returns>The image's path.</returns>
    public static string Save(SimulatedDisk disk, string folder)
    {
        foreach ((string name, SimulatedFile file) in disk.Files)
        {
            using FileStream stream = new(Path.Combine(folder, name), FileMode.Create, FileAccess.Write);
            stream.Write(file.Content);
        }

        return Path.Combine(folder, Name);
    }
}

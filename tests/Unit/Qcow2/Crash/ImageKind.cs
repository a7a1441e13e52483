using System.Collections.Concurrent;

namespace Ublk.Tests.Qcow2.Crash;

/// <summary>A kind of image: how qemu's tools make it, its files, and its content as qemu reads it.</summary>
internal sealed record ImageKind(string Name, Dictionary<string, byte[]> Files, byte[] Content, IReadOnlyDictionary<string,
    byte[]> Snapshots)
{
    /// <summary>Whether it has a persistent bitmap: of what changes from now on.</summary>
    public bool HasBitmap { get; private init; }

    private static readonly ConcurrentDictionary<string, ImageKind> s_made = [];

    /// <summary>All kinds: name, size, options, what qemu-io does with it, snapshots between.</summary>
    private static readonly Recipe[] s_recipes =
    [
        new("plain 512", "256k", "cluster_size=512"),
        new("refcount table overflows", "2304k", "cluster_size=512,refcount_bits=64", ["write -P 5 0 1792k"]),
        new("one bit", "256k", "cluster_size=1k,refcount_bits=1"),
        new("subclusters", "512k", "cluster_size=16k,extended_l2=on"),
        new("snapshots", "256k", "cluster_size=512", ["write -P 7 0 100k", "snapshot one", "write -P 8 50k 100k", "snapshot two"]),
        new("snapshots with subclusters", "512k", "cluster_size=16k,extended_l2=on,refcount_bits=8",
            ["write -P 7 0 300k", "snapshot one", "write -P 8 50k 1k", "snapshot two"]),
        new("compressed", "256k", "cluster_size=1k", ["write -c -P 9 0 64k", "write -c -P 10 100k 64k", "snapshot one"]),
        new("compressed with zstd", "256k", "cluster_size=4k,compression_type=zstd,refcount_bits=32", ["write -c -P 9 0 128k"]),
        new("version 2", "256k", "compat=v2,cluster_size=512", ["write -P 7 0 100k", "snapshot one"]),
        new("raw base", "256k", "cluster_size=4k", Backing: "raw", BackingSize: 100_000),
        new("qcow2 base", "256k", "cluster_size=1k,refcount_bits=2", Backing: "qcow2", BackingSize: 300 << 10),
        new("version 2 over a base", "256k", "compat=v2,cluster_size=4k", Backing: "qcow2", BackingSize: 200 << 10),
        new("subclusters over a base", "256k", "cluster_size=16k,extended_l2=on", Backing: "raw", BackingSize: 200_000),
        new("data file", "256k", "cluster_size=4k,data_file=data"),
        new("raw data file", "256k", "cluster_size=1k,data_file=data,data_file_raw=on"),
        new("lazy", "256k", "cluster_size=1k,lazy_refcounts=on,refcount_bits=4"),
        new("bitmap", "384k", "", ["write -P 7 0 100k", "snapshot one", "bitmap b0"]),
        new("preallocated", "256k", "cluster_size=2k,preallocation=metadata"),
        new("over a compressed base", "256k", "cluster_size=1k", Backing: "qcow2", BackingSize: 256 << 10, IsBackingCompressed: true),
        new("encrypted", "256k", "cluster_size=4k", ["write -P 7 0 100k", "snapshot one"], IsEncrypted: true),
        new("bitmap of sectors", "256k", "cluster_size=512", ["write -P 7 0 100k", "bitmap b0 -g 512"]),
    ];

    /// <summary>How many kinds there are.</summary>
    public static int Count => s_recipes.Length;

    /// <summary>A kind, made when it is wanted first.</summary>
    public static ImageKind Get(int number) => s_made.GetOrAdd(s_recipes[number].Name, _ => Make(s_recipes[number]));

    private static ImageKind Make(Recipe recipe)
    {
        using QemuImage image = new("1k");
        List<string> more = [];
        if (recipe.Backing is { } format)
        {
            byte[] under = new byte[recipe.BackingSize];
            new Random(1).NextBytes(under.AsSpan(0, under.Length / (recipe.IsBackingCompressed ? 64 : 2)));
            File.WriteAllBytes(image.PathOf("base.raw"), under);
            Shell.Run("qemu-img", "convert", "-f", "raw", "-O", format, image.PathOf("base.raw"), image.PathOf("base"),
                recipe.IsBackingCompressed ? "-c" : "-q");
            File.Delete(image.PathOf("base.raw"));
            more = ["-F", format, "-b", "base"];
        }

        File.Delete(image.Path);
        if (recipe.Options.Contains("data_file=", StringComparison.Ordinal))
        {
            // Not by its absolute path: the image goes elsewhere.
            Shell.Run("sh", "-c",
                $"cd '{Path.GetDirectoryName(image.Path)}' && qemu-img create -q -f qcow2 -o {recipe.Options} disk.qcow2 {recipe.Size}");
        }
        else if (recipe.IsEncrypted)
        {
            image.Encrypt(recipe.Size, "luks", recipe.Options);
        }
        else
        {
            image.Create("disk.qcow2", recipe.Size, recipe.Options, [.. more]);
        }

        Dictionary<string, byte[]> snapshots = [];
        foreach (string step in recipe.Steps ?? [])
        {
            if (step.StartsWith("snapshot ", StringComparison.Ordinal))
            {
                image.Snapshot("-c", step[9..]);
                snapshots[step[9..]] = Read(image);
            }
            else if (step.StartsWith("bitmap ", StringComparison.Ordinal))
            {
                Shell.Run("qemu-img", ["bitmap", "--add", image.Path, .. step[7..].Split(' ')]);
            }
            else
            {
                image.Play(step);
            }
        }

        byte[] content = Read(image);
        File.Delete(image.PathOf("disk.raw"));
        Dictionary<string, byte[]> files = Directory.EnumerateFiles(Path.GetDirectoryName(image.Path)!)
            .ToDictionary(path => Path.GetFileName(path), File.ReadAllBytes);
        return new ImageKind(recipe.Name, files, content, snapshots)
        {
            HasBitmap = recipe.Steps?.Any(step => step.StartsWith("bitmap ", StringComparison.Ordinal)) == true,
        };
    }

    // qemu looks for a data file in the current directory.
    private static byte[] Read(QemuImage image)
    {
        if (image.KeyFile is not null)
        {
            return image.Read();
        }

        string raw = image.PathOf("disk.raw");
        Shell.Run("sh", "-c", $"cd '{Path.GetDirectoryName(raw)}' && qemu-img convert -f qcow2 -O raw disk.qcow2 disk.raw");
        return File.ReadAllBytes(raw);
    }

    private sealed record Recipe(
        string Name, string Size, string Options, string[]? Steps = null, string? Backing = null, int BackingSize = 0,
        bool IsEncrypted = false, bool IsBackingCompressed = false);
}

using System.Buffers.Binary;
using Ublk.Files;
using Ublk.Images;
using Ublk.Qcow2.AtRest;
using Ublk.Qcow2.Format;

namespace Ublk.Tests.Images;

/// <summary>Snapshots made, restored and removed by us and by qemu in turn.</summary>
public sealed class SnapshotTests : IDisposable
{
    private readonly ImageFolder _folder = new();

    public static TheoryData<string> Options =>
        ["cluster_size=512", "cluster_size=64k", "cluster_size=2M", "compat=0.10", "refcount_bits=8", "refcount_bits=64", "extended_l2=on"];

    public void Dispose() => _folder.Dispose();

    [Theory]
    [MemberData(nameof(Options))]
    public void Keeps_what_was_and_gives_it_back(string options)
    {
        string image = _folder.QemuCreate("a.qcow2", "16M", options);
        ImageFolder.Play(image, "write -P 1 0 2M", "write -P 2 9M 1M");
        Take(image, "one");
        ImageFolder.RequireClean(image);
        ImageFolder.Play(image, "write -P 3 1M 2M", "discard 9M 512k", "read -P 3 1M 2M");
        ImageFolder.RequireClean(image);
        Take(image, "two");
        ImageFolder.Play(image, "write -P 4 0 4M");
        ImageFolder.RequireClean(image);

        // qemu reads ours, and we go back to it.
        Shell.Run("qemu-img", "convert", "-l", "snapshot.name=one", "-O", "raw", image, _folder["one.raw"]);
        Restore(image, "one");
        ImageFolder.RequireClean(image);
        ImageFolder.RequireSame(image, "qcow2", _folder["one.raw"], "raw");
        ImageFolder.Play(image, "read -P 1 0 2M", "read -P 2 9M 1M", "write -P 5 0 64k");
        Restore(image, "two");
        ImageFolder.Play(image, "read -P 1 0 1M", "read -P 3 1M 2M");

        Remove(image, "1");
        ImageFolder.RequireClean(image);
        ImageFolder.Play(image, "read -P 1 0 1M", "read -P 3 1M 2M");
        Remove(image, "two");
        ImageFolder.RequireClean(image);
        ImageFolder.Play(image, "read -P 1 0 1M", "read -P 3 1M 2M", "write -P 6 0 16M");
        ImageFolder.RequireClean(image);
    }

    [Fact]
    public void Theirs_are_restored_and_removed_and_ours_by_them()
    {
        string image = _folder.QemuCreate("a.qcow2", "16M");
        ImageFolder.Play(image, "write -P 1 0 1M");
        Shell.Run("qemu-img", "snapshot", "-c", "theirs", image);
        ImageFolder.Play(image, "write -P 2 0 1M");
        Take(image, "ours");
        ImageFolder.Play(image, "write -P 3 0 1M");
        Restore(image, "theirs");
        ImageFolder.Play(image, "read -P 1 0 1M");
        Shell.Run("qemu-img", "snapshot", "-a", "ours", image);
        ImageFolder.Play(image, "read -P 2 0 1M");
        Remove(image, "theirs");
        Shell.Run("qemu-img", "snapshot", "-d", "ours", image);
        ImageFolder.RequireClean(image);
    }

    [Fact]
    public void Brings_the_size_back()
    {
        string image = _folder.QemuCreate("a.qcow2", "1M");
        Take(image, "small");
        new ResizeImage { Path = image, Size = 8L << 30 }.Run(ImageProgress.None);
        ImageFolder.Play(image, "write -P 1 7G 64k");
        Restore(image, "small");
        ImageFolder.RequireClean(image);
        Assert.Contains("\"virtual-size\": 1048576", Shell.Run("qemu-img", "info", "--output=json", image));
    }

    [Fact]
    public void Bitmaps_go_where_they_would_lie()
    {
        string image = _folder.QemuCreate("a.qcow2", "16M");
        Take(image, "one");
        Shell.Run("qemu-img", "bitmap", "--add", image, "history");
        List<string> warnings = [];
        new RestoreSnapshot { Path = image, Snapshot = "one" }.Run(
            new ImageProgress((_, _, _) => { }, warnings.Add, CancellationToken.None));
        Assert.Contains("bitmaps", Assert.Single(warnings));
        ImageFolder.RequireClean(image);
        Assert.DoesNotContain("history", Shell.Run("qemu-img", "info", image));
        Assert.Empty(ImageFolder.WarningsOf(image));

        // Their clusters are others' now.
        Take(image, "two");
        ImageFolder.Play(image, "write -P 7 0 4M");
        using (Ublk.Targets.Qcow2.Qcow2Target target = Ublk.Tests.Qcow2.Qcow2Disk.Open(image))
        {
            Assert.Equal(4096, Ublk.Tests.Qcow2.Qcow2Disk.Write(target, 8 << 20, 4096, 1));
        }

        ImageFolder.RequireClean(image);
    }

    // Each command that writes clears them; a check that repairs nothing leaves them.
    [Fact]
    public void Unknown_autoclear_bits_go_with_the_first_write()
    {
        string image = _folder.QemuCreate("a.qcow2", "1M");
        Shell.Run("qemu-img", "bitmap", "--add", image, "history");
        ImageFolder.Play(image, "write -P 1 0 64k");
        foreach (Action<string> command in (Action<string>[])
        [
            path => Take(path, "one"),
            path => Remove(path, "one"),
            path => ImageFolder.Check(path, repair: true),
            path => new OptimizeImage { Path = path }.Run(ImageProgress.None),
            path => new ResizeImage { Path = path, Size = 2 << 20 }.Run(ImageProgress.None),
        ])
        {
            ulong before = Autoclear(image) | 1UL << 9;
            using (FileStream file = File.OpenWrite(image))
            {
                byte[] bits = new byte[8];
                BinaryPrimitives.WriteUInt64BigEndian(bits, before);
                file.Position = ImageHeader.AutoclearFeaturesField;
                file.Write(bits);
            }

            ImageFolder.Check(image);
            Assert.Equal(before, Autoclear(image));
            Leak(image);
            command(image);
            Assert.Equal(0UL, Autoclear(image) >> 2);
        }
    }

    private static ulong Autoclear(string image)
    {
        using FileStream file = File.OpenRead(image);
        byte[] bits = new byte[8];
        file.Position = ImageHeader.AutoclearFeaturesField;
        file.ReadExactly(bits);
        return BinaryPrimitives.ReadUInt64BigEndian(bits);
    }

    // A new cluster that belongs to nothing, counted in the first refcount block, of 64 KiB and entries of two bytes.
    private static void Leak(string image)
    {
        using FileStream file = File.Open(image, FileMode.Open, FileAccess.ReadWrite);
        long cluster = file.Length >> 16;
        file.SetLength((cluster + 1) << 16);
        byte[] place = new byte[8];
        file.Position = ImageHeader.RefcountTableOffsetField;
        file.ReadExactly(place);
        file.Position = BinaryPrimitives.ReadInt64BigEndian(place);
        file.ReadExactly(place);
        file.Position = BinaryPrimitives.ReadInt64BigEndian(place) + (cluster * 2);
        file.Write([0, 1]);
    }

    // Made with a shell: arguments of .NET are UTF-8.
    [Fact]
    public void Names_that_are_no_UTF_8_stay()
    {
        string image = _folder["a.qcow2"];
        Shell.Run("sh", "-c", $"""
            cd '{Path.GetDirectoryName(image)}' && name=$(printf 'k\366') &&
            qemu-img create -q -f raw "$name.raw" 1M && qemu-io -f raw -c 'write -P 7 0 1M' "$name.raw" &&
            qemu-img create -q -f qcow2 -F raw -b "$name.raw" a.qcow2 && qemu-img snapshot -c "$name" a.qcow2
            """);
        Take(image, "two");
        new ResizeImage { Path = image, Size = 2 << 20 }.Run(ImageProgress.None);
        byte[] bytes = File.ReadAllBytes(image);
        Assert.True(bytes.AsSpan(0, 1024).IndexOf((ReadOnlySpan<byte>)[(byte)'k', 0xF6, .. ".raw"u8]) > 0);
        Assert.Equal(-1, bytes.AsSpan().IndexOf("\uFFFD"u8));
        ImageFolder.RequireClean(image);

        // The chain is opened by the same name.
        new ConvertImage { Path = image, Destination = _folder["copy"], Options = new NewImageOptions { Format = ImageFormat.Raw } }
            .Run(ImageProgress.None);
        Assert.Equal(7, File.ReadAllBytes(_folder["copy"])[0]);
        Remove(image, "1");
        ImageFolder.RequireClean(image);

        // The framework cannot delete such a file.
        Shell.Run("sh", "-c", $"rm '{Path.GetDirectoryName(image)}'/k*.raw");
    }

    [Fact]
    public void Counts_too_narrow_for_it_are_an_error_that_changes_nothing()
    {
        string image = _folder.QemuCreate("a.qcow2", "16M", "refcount_bits=1");
        ImageFolder.Play(image, "write -P 1 0 1M");
        Assert.Equal(UblkError.NotSupported, Assert.Throws<UblkException>(() => Take(image, "one")).Error);
        ImageFolder.RequireClean(image);
        ImageFolder.Play(image, "read -P 1 0 1M");
        Assert.DoesNotContain("one", Shell.Run("qemu-img", "info", image));
    }

    [Fact]
    public void Errors_name_what_is_wrong()
    {
        string image = _folder.QemuCreate("a.qcow2", "1M");
        Take(image, "one");
        Assert.Equal(UblkError.SnapshotExists, Assert.Throws<UblkException>(() => Take(image, "one")).Error);
        Assert.Equal(UblkError.SnapshotNotFound, Assert.Throws<UblkException>(() => Restore(image, "two")).Error);
        Assert.Equal(UblkError.SnapshotNotFound, Assert.Throws<UblkException>(() => Remove(image, "two")).Error);
        string raw = _folder.Create("a.raw", 1 << 20, new NewImageOptions { Format = ImageFormat.Raw });
        Assert.Equal(UblkError.InvalidImage, Assert.Throws<UblkException>(() => Take(raw, "one")).Error);
        string external = _folder.QemuCreate("b.qcow2", "1M", $"data_file={_folder["b.data"]}");
        Assert.Equal(UblkError.NotSupported, Assert.Throws<UblkException>(() => Take(external, "one")).Error);
    }

    [Fact]
    public void A_corrupt_image_is_left_as_it_is()
    {
        string image = _folder.QemuCreate("a.qcow2", "16M");
        ImageFolder.Play(image, "write -P 1 0 1M");
        byte[] bytes = File.ReadAllBytes(image);
        bytes.AsSpan(2 << 16, 32).Clear();
        File.WriteAllBytes(image, bytes);
        Assert.Equal(UblkError.InvalidImage, Assert.Throws<UblkException>(() => Take(image, "one")).Error);
        Assert.Equal(bytes, File.ReadAllBytes(image));
    }

    private static void Take(string image, string name) => new CreateSnapshot { Path = image, Name = name }.Run(ImageProgress.None);

    private static void Restore(string image, string name) => new RestoreSnapshot { Path = image, Snapshot = name }.Run(ImageProgress.None);

    private static void Remove(string image, string name) => new RemoveSnapshot { Path = image, Snapshot = name }.Run(ImageProgress.None);
}

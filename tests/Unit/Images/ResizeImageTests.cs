using Ublk.Files;
using Ublk.Images;
using Ublk.Qcow2.AtRest;

namespace Ublk.Tests.Images;

/// <summary>Images that get another size, and those that give room back.</summary>
public sealed class ResizeImageTests : IDisposable
{
    private readonly ImageFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("cluster_size=512")]
    [InlineData("cluster_size=64k")]
    [InlineData("cluster_size=2M")]
    [InlineData("compat=0.10")]
    [InlineData("extended_l2=on,refcount_bits=64")]
    public void Grows_and_shrinks(string options)
    {
        string image = _folder.QemuCreate("a.qcow2", "8M", options);
        ImageFolder.Play(image, "write -P 1 0 1M", "write -P 2 7M 1M");
        Resize(image, 3L << 30);
        ImageFolder.RequireClean(image);
        ImageFolder.Play(image, "read -P 1 0 1M", "read -P 2 7M 1M", "read -P 0 8M 8M", "write -P 3 3069M 3M", "read -P 3 3069M 3M");
        ImageFolder.RequireClean(image);
        Assert.Equal(UblkError.InvalidArgument, Assert.Throws<UblkException>(() => Resize(image, 7 << 20)).Error);
        Resize(image, 7_500_288, shrink: true);
        ImageFolder.RequireClean(image);
        ImageFolder.Play(image, "read -P 1 0 1M", "read -P 2 7M 156k");
        Assert.True(new FileInfo(image).Length < 24 << 20);
        Resize(image, 8 << 20);
        ImageFolder.RequireClean(image);
        ImageFolder.Play(image, "read -P 2 7M 156k", "read -P 0 7500288 888320");
    }

    [Fact]
    public void A_raw_image_too()
    {
        string image = _folder.Create("a.raw", 1 << 20, new NewImageOptions { Format = ImageFormat.Raw });
        Resize(image, 2 << 20);
        Assert.Equal(2 << 20, new FileInfo(image).Length);
        Assert.Equal(UblkError.InvalidArgument, Assert.Throws<UblkException>(() => Resize(image, 1 << 20)).Error);
        Resize(image, 1 << 20, shrink: true);
        Assert.Equal(1 << 20, new FileInfo(image).Length);
    }

    [Fact]
    public void Nothing_of_a_longer_backing_file_comes_to_light()
    {
        string backing = _folder.QemuCreate("base.qcow2", "4M");
        ImageFolder.Play(backing, "write -P 1 0 4M");
        string image = _folder.QemuCreate("top.qcow2", "1M", "", "-b", backing, "-F", "qcow2");
        Assert.Equal(UblkError.NotSupported, Assert.Throws<UblkException>(() => Resize(image, 3 << 20)).Error);
        ImageFolder.RequireClean(image);
    }

    [Theory]
    [InlineData("", "write -P 0xAA 0 128k")]
    [InlineData("extended_l2=on", "write -P 0xAA 0 128k")]
    [InlineData("", "write -c -P 0xAA 0 64k", "write -c -P 0xAA 64k 64k")]
    [InlineData("extended_l2=on", "write -c -P 0xAA 0 64k", "write -c -P 0xAA 64k 64k")]
    [InlineData("compat=0.10", "write -c -P 0xAA 0 64k", "write -c -P 0xAA 64k 64k")]
    public void What_a_disk_had_before_it_was_cut_stays_away(string options, params string[] writes)
    {
        string image = _folder.QemuCreate("a.qcow2", "128k", options);
        ImageFolder.Play(image, writes);
        Resize(image, 96 << 10, shrink: true);
        bool hasSnapshot = options != "compat=0.10";
        if (hasSnapshot)
        {
            new CreateSnapshot { Path = image, Name = "one" }.Run(ImageProgress.None);
        }

        Resize(image, 1 << 20);
        ImageFolder.RequireClean(image);
        ImageFolder.Play(image, "read -P 0xAA 0 96k", "read -P 0 96k 928k", "write -P 1 64k 64k", "read -P 0xAA 0 64k");
        ImageFolder.RequireClean(image);
        if (hasSnapshot)
        {
            new RestoreSnapshot { Path = image, Snapshot = "one" }.Run(ImageProgress.None);
            ImageFolder.Play(image, "read -P 0xAA 0 96k");
            Resize(image, 1 << 20);
            ImageFolder.Play(image, "read -P 0xAA 0 96k", "read -P 0 96k 928k");
            ImageFolder.RequireClean(image);
        }
    }

    // So does the state of a virtual machine, which is behind the disk's end.
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void What_is_behind_the_end_stays_away(bool hasSnapshot)
    {
        string image = _folder.QemuCreate("a.qcow2", "8M", "cluster_size=4k");
        ImageFolder.Play(image, "write -P 1 0 1M", "write -P 0xAA 1M 5M");
        using (FileStream file = File.OpenWrite(image))
        {
            // The disk's size, of 1 MiB now.
            file.Position = 24;
            file.Write([0, 0, 0, 0, 0, 0x10, 0, 0]);
        }

        if (hasSnapshot)
        {
            new CreateSnapshot { Path = image, Name = "one" }.Run(ImageProgress.None);
        }

        Resize(image, 8 << 20);
        ImageFolder.RequireClean(image);
        ImageFolder.Play(image, "read -P 1 0 1M", "read -P 0 1M 7M");
    }

    [Fact]
    public void An_encrypted_last_cluster_is_left_to_who_has_the_key()
    {
        string secret = _folder["key"];
        File.WriteAllText(secret, "secret");
        string[] key = ["--object", $"secret,id=s,file={secret}"];
        string image = _folder.QemuCreate("a.qcow2", "128k", "encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=1", key);
        Shell.Run("qemu-io",
            [.. key, "-c", "write -P 0xAA 0 128k", "--image-opts", $"driver=qcow2,encrypt.key-secret=s,file.filename={image}"]);
        Resize(image, 96 << 10, shrink: true);
        byte[] before = File.ReadAllBytes(image);
        UblkException refused = Assert.Throws<UblkException>(() => Resize(image, 1 << 20));
        Assert.Equal(UblkError.NotSupported, refused.Error);
        Assert.Equal(before, File.ReadAllBytes(image));
        Resize(image, 64 << 10, shrink: true);
        Resize(image, 1 << 20);
        Shell.Run("qemu-io", "--object", $"secret,id=s,file={secret}", "-c", "read -P 0xAA 0 64k", "-c", "read -P 0 64k 960k",
            "--image-opts", $"driver=qcow2,encrypt.key-secret=s,file.filename={image}");
    }

    [Fact]
    public void What_a_data_file_has_behind_the_end_stays_away()
    {
        string data = _folder["data"];
        string image = _folder.QemuCreate("a.qcow2", "128k", $"data_file={data},data_file_raw=on");
        ImageFolder.Play(image, "write -P 0xAA 0 96k");
        Resize(image, 96 << 10, shrink: true);
        using (FileStream file = File.OpenWrite(data))
        {
            file.Position = 96 << 10;
            file.Write(Enumerable.Repeat((byte)0xAA, 64 << 10).ToArray());
        }

        Resize(image, 1 << 20);
        ImageFolder.Play(image, "read -P 0xAA 0 96k", "read -P 0 96k 928k");
        Shell.Run("qemu-io", "-f", "raw", "-c", "read -P 0xAA 0 96k", "-c", "read -P 0 96k 928k", data);
    }

    [Theory]
    [InlineData("cluster_size=4k")]
    [InlineData("cluster_size=64k")]
    [InlineData("compat=0.10")]
    [InlineData("extended_l2=on")]
    public void Zeroes_and_leaks_are_given_back(string options)
    {
        string image = _folder.QemuCreate("a.qcow2", "16M", options);
        ImageFolder.Play(image, "write -P 1 0 1M", "write -P 0 1M 8M", "write -P 2 9M 1M");
        string before = _folder["before.raw"];
        Shell.Run("qemu-img", "convert", "-O", "raw", image, before);
        long used = Used(image);
        new OptimizeImage { Path = image }.Run(ImageProgress.None);
        ImageFolder.RequireClean(image);
        ImageFolder.RequireSame(image, "qcow2", before, "raw");
        Assert.True(used - Used(image) >= 8 << 20, $"{used} {Used(image)}");
    }

    [Fact]
    public void What_a_snapshot_and_a_backing_file_have_stays()
    {
        string backing = _folder.QemuCreate("base.qcow2", "16M");
        ImageFolder.Play(backing, "write -P 7 0 16M");
        string image = _folder.QemuCreate("top.qcow2", "16M", "", "-b", backing, "-F", "qcow2");
        ImageFolder.Play(image, "write -P 0 0 1M", "write -P 1 1M 1M");
        Shell.Run("qemu-img", "snapshot", "-c", "one", image);
        ImageFolder.Play(image, "write -P 0 2M 2M", "write -P 3 1M 64k");
        string before = _folder["before.raw"];
        Shell.Run("qemu-img", "convert", "-O", "raw", image, before);
        new OptimizeImage { Path = image }.Run(ImageProgress.None);
        ImageFolder.RequireClean(image);
        ImageFolder.RequireSame(image, "qcow2", before, "raw");
        Shell.Run("qemu-img", "snapshot", "-a", "one", image);
        ImageFolder.Play(image, "read -P 0 0 1M", "read -P 1 1M 1M", "read -P 7 2M 1M");
    }

    [Fact]
    public void Zeroes_of_a_raw_image_become_holes()
    {
        string image = _folder["a.raw"];
        byte[] content = new byte[4 << 20];
        content.AsSpan(1 << 20, 5000).Fill(1);
        File.WriteAllBytes(image, content);
        new OptimizeImage { Path = image, Format = ImageFormat.Raw }.Run(ImageProgress.None);
        Assert.Equal(content, File.ReadAllBytes(image));
        Assert.Equal(8192, Used(image));
    }

    private static long Used(string file) => long.Parse(Shell.Run("du", "--block-size=1", file).Split('\t')[0]);

    private static void Resize(string image, long size, bool shrink = false) =>
        new ResizeImage { Path = image, Size = size, Shrink = shrink }.Run(ImageProgress.None);
}

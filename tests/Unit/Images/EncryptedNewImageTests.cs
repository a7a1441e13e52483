using System.Text;
using Ublk.Files;
using Ublk.Images;
using Ublk.Qcow2.Encryption;
using Ublk.Targets;
using Ublk.Targets.Qcow2;

namespace Ublk.Tests.Images;

/// <summary>New-UblkImage -KeyFile: encrypted images that qemu opens with the same passphrase.</summary>
public sealed class EncryptedNewImageTests : IDisposable
{
    private readonly ImageFolder _folder = new();

    public EncryptedNewImageTests() => File.WriteAllText(_folder["key"], "correct horse");

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(64 << 10, false)]
    [InlineData(512, false)]
    [InlineData(2 << 20, true)]
    public void Qemu_reads_what_is_written_here_and_writes_what_is_read_here(int clusterSize, bool extendedL2)
    {
        string image = _folder.Create("a.qcow2", 4 << 20, Encrypted with { ClusterSize = clusterSize, ExtendedL2 = extendedL2 });
        RequireClean(image);
        using (Qcow2Target target = Open(image))
        {
            TargetClient client = new(target);
            client.Write(1 << 20, [.. Enumerable.Repeat((byte)7, 4096)]);
            client.Flush();
        }

        Play(image, "read -P 0 0 1M", "read -P 7 1M 4k", "write -P 9 2M 64k");
        using (Qcow2Target target = Open(image))
        {
            Assert.All(new TargetClient(target).Read(2 << 20, 64 << 10), value => Assert.Equal(9, value));
        }

        RequireClean(image);
        Assert.Equal(-1, File.ReadAllBytes(image).AsSpan().IndexOf(Enumerable.Repeat((byte)7, 16).ToArray()));
    }

    [Fact]
    public void Another_passphrase_does_not_open_it()
    {
        string image = _folder.Create("a.qcow2", 1 << 20, Encrypted);
        File.WriteAllText(_folder["key"], "correct hors");
        Assert.Equal(UblkError.PermissionDenied, Assert.Throws<UblkException>(() => Open(image)).Error);
    }

    [Fact]
    public void Each_image_has_its_own_key()
    {
        byte[] one = LuksFormat.Make("a"u8);
        byte[] other = LuksFormat.Make("a"u8);
        Assert.Equal(LuksFormat.Length, one.Length);
        Assert.False(one.AsSpan(4096, 4096).SequenceEqual(other.AsSpan(4096, 4096)));
        Assert.Equal("xts-plain64", Encoding.ASCII.GetString(one, 40, 11));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(20)]
    [InlineData(64)]
    public void A_split_key_is_put_together_again(int length)
    {
        byte[] key = [.. Enumerable.Range(1, length).Select(value => (byte)value)];
        byte[] parts = new byte[length * 50];
        AntiForensicSplit.Split(key, System.Security.Cryptography.HashAlgorithmName.SHA256, parts);
        byte[] merged = new byte[length];
        AntiForensicSplit.Merge(parts, System.Security.Cryptography.HashAlgorithmName.SHA256, merged);
        Assert.Equal(key, merged);
    }

    [Fact]
    public void What_cannot_be_encrypted_is_refused()
    {
        foreach (NewImageOptions options in (NewImageOptions[])
            [
                Encrypted with { Version = 2 }, Encrypted with { Preallocation = ImagePreallocation.Metadata },
                Encrypted with { DataFile = _folder["data"] }, Encrypted with { Format = ImageFormat.Raw },
            ])
        {
            Assert.Equal(UblkError.InvalidArgument,
                Assert.Throws<UblkException>(() => _folder.Create("b.qcow2", 1 << 20, options)).Error);
            Assert.Equal(["key"], _folder.Names);
        }
    }

    private NewImageOptions Encrypted => ImageFolder.Qcow2() with { KeyFile = _folder["key"] };

    private Qcow2Target Open(string image) => Qcow2Target.Open(new TargetOptions(
        new Dictionary<string, string> { ["Path"] = image, ["KeyFile"] = _folder["key"], ["DirectIO"] = "false" }));

    private void RequireClean(string image)
    {
        Shell.Run("qemu-img", ["check", "-q", .. Opened(image)]);
        Assert.Equal(ImageCondition.Clean, ImageFolder.Check(image).Condition);
    }

    private void Play(string image, params string[] commands) =>
        Shell.Run("qemu-io", [.. commands.SelectMany(command => new[] { "-c", command }), .. Opened(image)]);

    private string[] Opened(string image) =>
        ["--object", $"secret,id=key,file={_folder["key"]}", "--image-opts", $"driver=qcow2,file.filename={image},encrypt.key-secret=key"];
}

using Ublk.Files;
using Ublk.Images;
using Ublk.Io;
using Ublk.Qcow2.AtRest;
using Ublk.Targets.Qcow2;
using Ublk.Tests.Serving;

namespace Ublk.Tests.Qcow2.Encryption;

/// <summary>Encrypted images: what qemu writes is read, and what is written here qemu reads.</summary>
public class EncryptedImageTests
{
    private const int Size = 1 << 20;

    [Theory]
    [InlineData("")]
    [InlineData("encrypt.cipher-alg=aes-128,encrypt.hash-alg=sha1")]
    [InlineData("encrypt.ivgen-alg=plain,encrypt.hash-alg=sha512")]
    [InlineData("encrypt.cipher-alg=aes-256,encrypt.cipher-mode=cbc,encrypt.ivgen-alg=essiv,encrypt.ivgen-hash-alg=sha256")]
    [InlineData("encrypt.cipher-alg=aes-256,encrypt.cipher-mode=cbc,encrypt.ivgen-alg=plain64,encrypt.hash-alg=sha384")]
    [InlineData("encrypt.cipher-alg=aes-128,encrypt.cipher-mode=cbc,encrypt.ivgen-alg=plain")]
    [InlineData("cluster_size=512")]
    [InlineData("cluster_size=16k,extended_l2=on")]
    [InlineData("compat=v2")]
    public void With_LUKS_what_one_writes_the_other_reads(string options)
    {
        using QemuImage image = new("1k");
        image.Encrypt("1M", "luks", options);
        image.Play("write -P 7 0 300k", "write -P 8 100k 4k", "write -z 200k 8k", "discard 500k 20k");
        byte[] model = image.Read();
        ChangeAndAgree(image, model);
        image.Play("write -P 9 3k 70k");
        model.AsSpan(3 << 10, 70 << 10).Fill(9);
        using (Qcow2Target target = Open(image, readOnly: true))
        {
            Assert.Equal(model, Qcow2Disk.Read(target));
        }
    }

    [Fact]
    public void Nothing_written_is_in_the_file_in_the_clear()
    {
        using QemuImage image = new("1k");
        image.Encrypt("1M", "luks");
        using (Qcow2Target target = Open(image))
        {
            // In place, to a new place with what surrounds it, and zeroes.
            Qcow2Disk.Write(target, 0, 64 << 10, 0x5A);
            Qcow2Disk.Write(target, 4096, 4096, 0x5A);
            Qcow2Disk.Write(target, 200 << 10, 512, 0x5A);
        }

        byte[] file = File.ReadAllBytes(image.Path);
        Assert.Equal(-1, file.AsSpan().IndexOf(Enumerable.Repeat((byte)0x5A, 16).ToArray()));

        // Two sectors of equal data are not equal.
        Assert.True(file.Chunk(512).Where(sector => sector.Distinct().Count() > 64).GroupBy(Convert.ToHexString)
            .All(group => group.Count() == 1));
    }

    [Fact]
    public void The_map_the_chain_and_a_backing_file_take_no_key()
    {
        using QemuImage image = new("1M");
        image.Encrypt("1M", "luks", "cluster_size=4k");
        image.Play("write -P 7 64k 128k");
        ImageExtent data = Assert.Single(ImageInspector.Map(image.Path, null, null), extent => extent.Data);
        Assert.Equal((64 << 10, 128 << 10, image.Path), (data.Start, data.Length, data.Path));
        string top = image.PathOf("top.qcow2");
        new CreateImage
        {
            Path = top,
            Options = new NewImageOptions { Format = ImageFormat.Qcow2, BackingFile = "disk.qcow2", BackingFormat = ImageFormat.Qcow2 },
        }.Run(ImageProgress.None);
        Assert.Equal(
            [(top, null), (image.Path, "Luks")],
            ImageInspector.InspectChain(top, null, null).Select(layer => (layer.Path, layer.Encryption)));
        Assert.Single(ImageInspector.Map(top, null, null), extent => extent is { Data: true, Depth: 1 });

        // The data does.
        string copy = image.PathOf("copy");
        foreach (string path in (string[])[image.Path, top])
        {
            ConvertImage convert = new() { Path = path, Destination = copy, Options = new NewImageOptions { Format = ImageFormat.Raw } };
            Assert.Equal(UblkError.NotSupported, Assert.Throws<UblkException>(() => convert.Run(ImageProgress.None)).Error);
            Assert.False(File.Exists(copy));
        }
    }

    [Fact]
    public void Snapshots_of_an_encrypted_image_are_read()
    {
        using QemuImage image = new("1k");
        image.Encrypt("1M", "luks", "cluster_size=4k");
        image.Play("write -P 7 0 300k");
        byte[] before = image.Read();
        image.Snapshot("-c", "one");
        byte[] model = [.. before];
        ChangeAndAgree(image, model);
        using Qcow2Target snapshot = Open(image, readOnly: true, ("Snapshot", "one"));
        Assert.Equal(before, Qcow2Disk.Read(snapshot));
    }

    [Fact]
    public void The_data_may_be_in_a_file_of_its_own()
    {
        using QemuImage image = new("1k");
        image.Encrypt("1M", "luks", $"data_file={image.PathOf("data")}");
        image.Play("write -P 7 0 300k");
        byte[] model = image.Read();
        ChangeAndAgree(image, model);
    }

    [Fact]
    public void An_encrypted_image_over_one_in_the_clear_and_under_another()
    {
        using QemuImage image = new("1k");
        image.Create("base", "1M");
        Shell.Run("qemu-io", "-f", "qcow2", "-c", "write -P 3 0 1M", image.PathOf("base"));
        image.Encrypt("1M", "luks", "cluster_size=4k", "-F", "qcow2", "-b", "base");
        byte[] model = [.. Enumerable.Repeat((byte)3, Size)];
        using (Qcow2Target target = Open(image))
        {
            Change(target, model);
        }

        Assert.Equal(model, image.Read());
        image.Create("top", "1M", "", "-u", "-F", "qcow2", "-b", "disk.qcow2");
        using Qcow2Target top = Qcow2Disk.Open(image.PathOf("top"), ("KeyFile", image.KeyFile!));
        Qcow2Disk.Write(top, 4096, 512, 11);
        model.AsSpan(4096, 512).Fill(11);
        Assert.Equal(model, Qcow2Disk.Read(top));
    }

    [Fact]
    public void Legacy_AES_is_read_and_not_written()
    {
        using QemuImage image = new("1k");
        image.Encrypt("1M", "aes");
        image.Play("write -P 7 0 300k", "write -P 8 100k 4k");
        using (Qcow2Target target = Open(image, readOnly: true))
        {
            Assert.Equal(image.Read(), Qcow2Disk.Read(target));
        }

        UblkException error = Assert.Throws<UblkException>(() => Open(image));
        Assert.Equal(UblkError.NotSupported, error.Error);
        Assert.Contains("-ReadOnly", error.Message);
    }

    [Theory]
    [InlineData("aes")]
    [InlineData("luks")]
    public void Without_its_passphrase_an_image_is_refused_and_all_but_its_data_lies_open(string kind)
    {
        using QemuImage image = new("1k");
        image.Encrypt("1M", kind);
        UblkException error = Assert.Throws<UblkException>(() => Qcow2Disk.Open(image.Path, readOnly: true));
        Assert.Equal(UblkError.InvalidArgument, error.Error);
        Assert.Contains("-KeyFile", error.Message);
        ImageCheckResult check = new CheckImage { Path = image.Path }.Run(ImageProgress.None);
        Assert.Equal(ImageCondition.Clean, check.Condition);
    }

    [Theory]
    [InlineData("open sesame\n")]
    [InlineData("open")]
    [InlineData("")]
    public void A_wrong_passphrase_is_refused(string passphrase)
    {
        using QemuImage image = new("1k");
        image.Encrypt("1M", "luks");
        File.WriteAllText(image.KeyFile!, passphrase);
        UblkException error = Assert.Throws<UblkException>(() => Open(image));
        Assert.Equal(UblkError.PermissionDenied, error.Error);
        Assert.Contains("line break", error.Message);
    }

    [Fact]
    public void Every_passphrase_of_an_image_opens_it()
    {
        using QemuImage image = new("1k");
        image.Encrypt("1M", "luks");
        image.Play("write -P 7 0 300k");
        byte[] model = image.Read();
        string other = image.PathOf("other key");
        File.WriteAllText(other, "another,\n\u00E9");
        Shell.Run("qemu-img", "amend", "--object", $"secret,id=key,file={image.KeyFile}", "--object", $"secret,id=new,file={other}",
            "-o", "encrypt.state=active,encrypt.new-secret=new,encrypt.iter-time=10",
            "--image-opts", $"driver=qcow2,file.filename={image.Path},encrypt.key-secret=key");
        using Qcow2Target target = Qcow2Disk.Open(image.Path, ("KeyFile", other));
        Assert.Equal(model, Qcow2Disk.Read(target));
    }

    [Fact]
    public void An_invalid_key_file_is_an_error()
    {
        using QemuImage image = new("1k");
        image.Encrypt("1M", "luks");
        Assert.Equal(UblkError.PathNotFound, FailureWith(image.PathOf("nothing")).Error);
        Assert.Equal(UblkError.InvalidArgument, FailureWith("/dev/zero").Error);
        Assert.Equal(UblkError.PermissionDenied, FailureWith("/").Error);

        UblkException FailureWith(string keyFile) => Assert.Throws<UblkException>(() => Qcow2Disk.Open(image.Path, ("KeyFile", keyFile)));
    }

    private static Qcow2Target Open(QemuImage image, bool readOnly = false, params (string Name, string Value)[] options) =>
        Qcow2Disk.Open(image.Path, readOnly, [.. options, ("KeyFile", image.KeyFile!)]);

    // The target reads what is there, and qemu what the target then makes of it.
    private static void ChangeAndAgree(QemuImage image, byte[] model)
    {
        using (Qcow2Target target = Open(image))
        {
            Assert.Equal(model, Qcow2Disk.Read(target));
            Change(target, model);
        }

        image.Check();
        Assert.Equal(model, image.Read());
    }

    private static void Change(Qcow2Target target, byte[] model)
    {
        Random random = new(1);
        QueueHarness.Run(target, harness =>
        {
            for (int number = 0; number < 40; number++)
            {
                int start = random.Next(Size / 512) * 512;
                byte[] data = new byte[int.Min(512 * random.Next(1, number % 4 == 0 ? 400 : 12), Size - start)];
                if (number % 5 == 0)
                {
                    Assert.Equal(0, harness.Answer(QueueHarness.Describe(IoOperation.WriteZeroes, start, data.Length)));
                }
                else
                {
                    random.NextBytes(data);
                    Assert.Equal(data.Length, harness.Answer(QueueHarness.Describe(IoOperation.Write, start, data.Length), data));
                }

                data.CopyTo(model.AsSpan(start));
            }
        }, bufferSize: 256 << 10);
        Assert.Equal(model, Qcow2Disk.Read(target));
    }
}

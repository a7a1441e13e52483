using Ublk.Files;
using Ublk.Images;
using Ublk.Io;
using Ublk.Qcow2.AtRest;
using Ublk.Qcow2.Format;
using Ublk.Targets;
using Ublk.Targets.Qcow2;
using Ublk.Tests.Qcow2.Format;
using Ublk.Tests.Serving;

namespace Ublk.Tests.Qcow2;

/// <summary>Backing chains: what can be under an image, and what is wrong with it when it cannot.</summary>
public class Qcow2ChainTests
{
    [Fact]
    public void A_chain_of_three_is_read_from_where_each_part_was_written()
    {
        using QemuImage image = new("1M");
        File.WriteAllBytes(image.PathOf("base.raw"), [.. Enumerable.Repeat((byte)1, 1 << 20)]);
        Directory.CreateDirectory(image.PathOf("sub"));
        image.Create("sub/middle.qcow2", "1M", "", "-F", "raw", "-b", "../base.raw");
        Shell.Run("qemu-io", "-f", "qcow2", "-c", "write -P 2 256k 256k", image.PathOf("sub/middle.qcow2"));
        image.Create("disk.qcow2", "1M", "", "-F", "qcow2", "-b", image.PathOf("sub/middle.qcow2"));
        image.Play("write -P 3 384k 256k");
        Assert.Equal([1, 2, 3, 1], ReadFirstBytes(image.Path, 0, 300 << 10, 400 << 10, 700 << 10));
    }

    [Fact]
    public void A_missing_backing_file_is_named_with_the_chain()
    {
        using QemuImage image = new("1M");
        image.Create("disk.qcow2", "1M", "", "-u", "-F", "raw", "-b", "not-there");
        UblkException error = Assert.Throws<UblkException>(() => Qcow2Disk.Open(image.Path));
        Assert.Equal(UblkError.PathNotFound, error.Error);
        Assert.Contains(image.PathOf("not-there"), error.Message);
        Assert.Contains(image.Path, error.Message);
        Assert.Equal([0], ReadFirstBytes(image.Path, ("NoBacking", "true"), 0));
    }

    [Theory]
    [InlineData("cluster_size=4k", "2M", "4M", (2 << 20) - 512)]
    [InlineData("cluster_size=512", "32k", "128k", (32 << 10) - 512)]
    [InlineData("cluster_size=512", "31k", "128k", 0)]
    public void A_read_across_the_end_of_a_shorter_backing_file_gets_zeroes_from_there_on(string options, string size, string larger,
        int offset)
    {
        using QemuImage image = new("1M");
        image.Create("base", size, options);
        Shell.Run("qemu-io", "-f", "qcow2", "-c", $"write -P 7 0 {size}", image.PathOf("base"));
        image.Create("disk.qcow2", larger, "", "-F", "qcow2", "-b", "base");
        byte[] expected = image.Read();
        using Qcow2Target target = Qcow2Disk.Open(image.Path);
        QueueHarness.Run(target, harness =>
        {
            byte[] data = new byte[64 << 10];
            int length = offset == 0 ? data.Length : 1024;
            Assert.Equal(length, harness.Answer(QueueHarness.Describe(IoOperation.Read, offset, length), data));
            Assert.Equal(expected.AsSpan(offset, length).ToArray(), data[..length]);
        });
        Assert.Equal(512, Qcow2Disk.Write(target, 512, 512, 9));
        Assert.Equal(512, Qcow2Disk.Write(target, 1024, 512, 9));
        expected.AsSpan(512, 1024).Fill(9);
        Assert.Equal(expected, Qcow2Disk.Read(target));
    }

    [Fact]
    public void Without_its_backing_file_an_image_is_read_only()
    {
        // What is discarded would show the backing file again when the disk is attached with it.
        using QemuImage image = new("1M");
        image.Create("base", "1M");
        image.Create("disk.qcow2", "1M", "", "-F", "qcow2", "-b", "base");
        TargetOptions options = new(new Dictionary<string, string> { ["Path"] = image.Path, ["NoBacking"] = "true" });
        using Qcow2Target target = Qcow2Target.Open(options);
        Assert.True(target.Geometry.ReadOnly);
        Assert.Contains("backing file", Assert.Single(options.Warnings), StringComparison.Ordinal);
        Assert.Equal(-30, Qcow2Disk.Write(target, 0, 4096, 1));
        image.Create("whole.qcow2", "1M");
        using Qcow2Target whole = Qcow2Disk.Open(image.PathOf("whole.qcow2"), ("NoBacking", "true"));
        Assert.False(whole.Geometry.ReadOnly);
    }

    [Fact]
    public void A_loop_is_named_whole()
    {
        using QemuImage image = new("1M");
        image.Create("a.qcow2", "1M", "", "-u", "-F", "qcow2", "-b", "disk.qcow2");
        image.Create("disk.qcow2", "1M", "", "-u", "-F", "qcow2", "-b", "a.qcow2");
        UblkException error = Assert.Throws<UblkException>(() => Qcow2Disk.Open(image.Path));
        Assert.Equal(UblkError.InvalidImage, error.Error);
        Assert.Contains($"{image.Path} -> {image.PathOf("a.qcow2")} -> {image.Path}", error.Message);
    }

    [Fact]
    public void A_format_is_never_guessed()
    {
        using QemuImage image = new("1M");
        File.WriteAllBytes(image.PathOf("base"), [.. Enumerable.Repeat((byte)1, 1 << 20)]);
        image.Create("disk.qcow2", "1M", "", "-u", "-b", "base", "-F", "raw");
        Shell.Run("qemu-img", "amend", "-f", "qcow2", "-o", "compat=1.1", image.Path);

        // Without the extension that names it, as qemu made images before it wanted one.
        byte[] file = File.ReadAllBytes(image.Path);
        int place = file.AsSpan().IndexOf((ReadOnlySpan<byte>)[0xE2, 0x79, 0x2A, 0xCA]);
        file[place] = 0x11;
        File.WriteAllBytes(image.Path, file);
        UblkException error = Assert.Throws<UblkException>(() => Qcow2Disk.Open(image.Path));
        Assert.Contains("-BackingFormat", error.Message);
        Assert.Equal([1], ReadFirstBytes(image.Path, ("BackingFormat", "Raw"), 0));
    }

    [Theory]
    [InlineData("json:{}", "raw")]
    [InlineData("nbd://localhost/x", "raw")]
    [InlineData("nbd:localhost:10809", "raw")]
    [InlineData("base", "RAW")]
    [InlineData("base", "vmdk")]
    public void What_cannot_be_under_an_image_is_refused_by_name(string name, string format)
    {
        using QemuImage image = new("1M");
        image.Create("disk.qcow2", "1M", "", "-u", "-F", "raw", "-b", "x");
        (ImageHeader header, _) = ImageHeaderTests.Read(image.Path);
        byte[] cluster = (header with
        {
            BackingFile = name,
            Extensions = [HeaderExtension.OfText(HeaderExtension.BackingFormat, format)],
        }).ToCluster(image.Path);
        using (FileStream file = File.OpenWrite(image.Path))
        {
            file.Write(cluster);
        }

        UblkException error = Assert.Throws<UblkException>(() => Qcow2Disk.Open(image.Path));
        Assert.Equal(UblkError.NotSupported, error.Error);
        Assert.Contains(format == "raw" ? name : format, error.Message);

        // An operation on the image says the same.
        Assert.Equal(error.Message, Assert.Throws<UblkException>(() => ImageInspector.InspectChain(image.Path, null, null)).Message);
    }

    [Fact]
    public void A_name_through_a_linked_folder_leads_where_the_kernel_goes()
    {
        using QemuImage image = new("1M");
        Directory.CreateDirectory(image.PathOf("real/deep"));
        File.CreateSymbolicLink(image.PathOf("sub"), "real/deep");
        File.WriteAllBytes(image.PathOf("base"), [.. Enumerable.Repeat((byte)1, 1 << 20)]);
        File.WriteAllBytes(image.PathOf("real/base"), [.. Enumerable.Repeat((byte)2, 1 << 20)]);
        image.Create("disk.qcow2", "1M", "", "-F", "raw", "-b", "sub/../base");
        Assert.Equal(2, image.Read()[0]);
        Assert.Equal([2], ReadFirstBytes(image.Path, 0));
        NewImageOptions raw = new() { Format = ImageFormat.Raw };
        new ConvertImage { Path = image.Path, Destination = image.PathOf("copy"), Options = raw }
            .Run(ImageProgress.None);
        Assert.Equal(File.ReadAllBytes(image.PathOf("real/base")), File.ReadAllBytes(image.PathOf("copy")));
    }

    [Fact]
    public void A_relative_name_leads_from_where_the_folders_really_are()
    {
        using QemuImage image = new("1M");
        Directory.CreateDirectory(image.PathOf("real/deep"));
        File.CreateSymbolicLink(image.PathOf("sub"), "real/deep");
        File.WriteAllBytes(image.PathOf("base"), [.. Enumerable.Repeat((byte)1, 1 << 20)]);
        string top = image.PathOf("sub/top.qcow2");
        string name = ImageReference.RelativeName(top, image.PathOf("base"));
        Assert.Equal("../../base", name);
        new CreateImage
        {
            Path = top, Options = new NewImageOptions { Format = ImageFormat.Qcow2, BackingFile = name, BackingFormat = ImageFormat.Raw },
        }.Run(ImageProgress.None);
        Assert.Equal([1], ReadFirstBytes(top, 0));
        Shell.Run("qemu-io", "-f", "qcow2", "-c", "read -P 1 0 1M", top);
    }

    [Fact]
    public void A_name_with_a_colon_is_a_path_all_the_same()
    {
        using QemuImage image = new("1M");
        File.WriteAllBytes(image.PathOf("b:c"), [.. Enumerable.Repeat((byte)1, 1 << 20)]);
        string name = ImageReference.RelativeName(image.Path, image.PathOf("b:c"));
        Assert.Equal("./b:c", name);
        foreach (string known in (string[])[name, "file:b:c"])
        {
            image.Create("disk.qcow2", "1M", "", "-u", "-F", "raw", "-b", known);
            Assert.Equal([1], ReadFirstBytes(image.Path, 0));
        }
    }

    [Fact]
    public void Of_snapshots_with_one_name_none_is_chosen()
    {
        using QemuImage image = new("1M");
        image.Snapshot("-c", "one");
        image.Snapshot("-c", "one");
        UblkException error = Assert.Throws<UblkException>(() => Qcow2Disk.Open(image.Path, ("Snapshot", "one")));
        Assert.Equal(UblkError.SnapshotNotFound, error.Error);
        Assert.Contains("1, 2", error.Message);
        Qcow2Disk.Open(image.Path, ("Snapshot", "2")).Dispose();
    }

    [Fact]
    public void A_backing_file_that_is_written_is_in_use_and_one_that_is_read_is_shared()
    {
        using QemuImage image = new("1M");
        image.Create("base", "1M");
        image.Create("disk.qcow2", "1M", "", "-F", "qcow2", "-b", "base");
        image.Create("other.qcow2", "1M", "", "-F", "qcow2", "-b", "base");
        using (Qcow2Target first = Qcow2Disk.Open(image.Path))
        using (Qcow2Target second = Qcow2Disk.Open(image.PathOf("other.qcow2")))
        {
            Assert.Equal(UblkError.BackingFileInUse, Assert.Throws<UblkException>(() => Qcow2Disk.Open(image.PathOf("base"))).Error);
        }

        using Qcow2Target written = Qcow2Disk.Open(image.PathOf("base"));
        Assert.Equal(UblkError.BackingFileInUse, Assert.Throws<UblkException>(() => Qcow2Disk.Open(image.Path)).Error);
    }

    private static byte[] ReadFirstBytes(string path, params int[] offsets) => ReadFirstBytes(Qcow2Disk.Open(path), offsets);

    private static byte[] ReadFirstBytes(string path, (string Name, string Value) option, params int[] offsets) =>
        ReadFirstBytes(Qcow2Disk.Open(path, option), offsets);

    private static byte[] ReadFirstBytes(Qcow2Target target, int[] offsets)
    {
        byte[] bytes = new byte[offsets.Length];
        using (target)
        {
            QueueHarness.Run(target, harness =>
            {
                byte[] data = new byte[4096];
                for (int index = 0; index < offsets.Length; index++)
                {
                    Assert.Equal(4096, harness.Answer(QueueHarness.Describe(IoOperation.Read, offsets[index], 4096), data));
                    bytes[index] = data[0];
                }
            });
        }

        return bytes;
    }
}

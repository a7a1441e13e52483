using System.Buffers.Binary;
using System.Text.Json;
using Ublk.Files;
using Ublk.Images.Content;
using Ublk.Qcow2.Format;
using Ublk.Targets.Nbd;
using Ublk.Tests.Targets.Nbd;

namespace Ublk.Tests.Exports;

/// <summary>What other programs see of exports is what is in the images.</summary>
public sealed class ExportOracleTests(NbdCertificates files) : IClassFixture<NbdCertificates>, IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("ublk-export-");

    public void Dispose() => _folder.Delete(recursive: true);

    [Theory]
    [InlineData("raw")]
    [InlineData("qcow2")]
    public void An_image_is_the_same_over_NBD(string format)
    {
        string image = Make(format);
        using TestExport export = new(image);
        Shell.Run("qemu-img", "compare", "-f", format, "-F", "raw", image, export.Uri);
        Shell.Run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", export.Uri, $"{_folder}/copy.qcow2");
        Shell.Run("qemu-img", "compare", "-f", format, "-F", "qcow2", image, $"{_folder}/copy.qcow2");
        Assert.Empty(export.Log);
    }

    [Fact]
    public void What_has_no_data_is_a_hole_for_others()
    {
        string image = Make("qcow2");
        using TestExport export = new(image);
        Assert.Equal([(0, true), (1 << 20, false), (8 << 20, true), (9 << 20, false)], MapOf(export.Uri));
    }

    [Fact]
    public void An_overlay_shows_what_is_behind_it()
    {
        string image = Make("qcow2");
        string overlay = $"{_folder}/overlay.qcow2";
        Shell.Run("qemu-img", "create", "-q", "-f", "qcow2", "-b", image, "-F", "qcow2", overlay);
        Shell.Run("qemu-io", "-f", "qcow2", "-c", "write -P 9 4M 64k", overlay);
        using TestExport export = new(overlay);
        Shell.Run("qemu-img", "compare", "-f", "qcow2", "-F", "raw", overlay, export.Uri);
        Assert.Contains((4 << 20, true), MapOf(export.Uri));
    }

    [Fact]
    public void An_overlay_may_be_larger_than_what_is_behind_it()
    {
        string small = $"{_folder}/small.qcow2";
        string overlay = $"{_folder}/overlay.qcow2";
        Shell.Run("qemu-img", "create", "-q", "-f", "qcow2", "-o", "cluster_size=4k", small, "5M");
        Shell.Run("qemu-img", "create", "-q", "-f", "qcow2", "-o", "cluster_size=4k", "-b", small, "-F", "qcow2", overlay, "20M");
        Shell.Run("qemu-io", "-f", "qcow2", "-c", "write -P 9 12M 64k", overlay);
        using TestExport export = new(overlay);
        Assert.Equal([(0, false), (12 << 20, true), ((12 << 20) + (64 << 10), false)], MapOf(export.Uri));

        // A range that begins beyond the end of what is behind it.
        using ImageContent content = ImageChain.Open(overlay, null, null, DiskFile.Open);
        Assert.Equal([(7 << 20, 1 << 20)], content.Map(7 << 20, 8 << 20).Select(extent => (extent.Start, extent.Length)));
    }

    [Fact]
    public void A_snapshot_is_the_disk_as_it_was()
    {
        string image = Make("qcow2");
        Shell.Run("qemu-img", "convert", "-O", "raw", image, $"{_folder}/before.raw");
        Shell.Run("qemu-img", "snapshot", "-c", "before", image);
        Shell.Run("qemu-io", "-f", "qcow2", "-c", "write -P 7 0 2M", image);
        using TestExport export = new(image, snapshot: "before");
        Shell.Run("qemu-img", "compare", "-f", "raw", "-F", "raw", $"{_folder}/before.raw", export.Uri);
        Assert.Equal([(0, true), (1 << 20, false), (8 << 20, true), (9 << 20, false)], MapOf(export.Uri));
    }

    [Fact]
    public void A_bitmap_shows_what_has_changed()
    {
        string image = Make("qcow2");
        Shell.Run("qemu-img", "bitmap", "--add", "-g", "64k", "-f", "qcow2", image, "since");
        Shell.Run("qemu-io", "-f", "qcow2", "-c", "write -P 3 3M 128k", "-c", "write -P 4 15M 64k", image);
        using TestExport export = new(image);

        // qemu shows dirty as no data.
        string node = $"driver=nbd,server.type=unix,server.path={export.SocketPath},export=disk,x-dirty-bitmap=qemu:dirty-bitmap:since";
        string map = Shell.Run("qemu-img", "map", "--output=json", "--image-opts", node);
        Assert.Equal(
            [(0, true), (3 << 20, false), ((3 << 20) + (128 << 10), true), (15 << 20, false), ((15 << 20) + (64 << 10), true)],
            Extents(map));
    }

    [Theory]
    [InlineData(0x200)]
    [InlineData(0x7FFF_0000_0000)]
    [InlineData(0x2)]
    public void A_damaged_bitmap_is_not_offered(long entry)
    {
        string image = Make("qcow2");
        Shell.Run("qemu-img", "bitmap", "--add", "-g", "64k", "-f", "qcow2", image, "since");
        long table;
        using (DiskFile file = DiskFile.Open(image))
        {
            table = new ImageTables(file, ImageTables.ReadHeader(file)).ReadBitmaps()[0].TableOffset;
        }

        using (FileStream stream = File.OpenWrite(image))
        {
            byte[] bytes = new byte[8];
            BinaryPrimitives.WriteInt64BigEndian(bytes, entry);
            stream.Position = table;
            stream.Write(bytes);
        }

        using TestExport export = new(image);
        Assert.Contains("'since' is not offered", Assert.Single(export.Warnings), StringComparison.Ordinal);
        Assert.Equal([(0, true), (1 << 20, false), (8 << 20, true), (9 << 20, false)], MapOf(export.Uri));
    }

    [Fact]
    public void A_writable_image_takes_what_others_write()
    {
        string image = Make("qcow2");
        using (TestExport export = new(image, writable: true))
        {
            Shell.Run("qemu-io", "-f", "raw", "-c", "write -P 5 2M 1M", "-c", "write -z 0 512k", "-c", "discard 8M 64k", "-c", "flush",
                "-c", "read -P 5 2M 1M", "-c", "read -P 0 0 512k", export.Uri);
        }

        Shell.Run("qemu-img", "check", "-q", "-f", "qcow2", image);
        Shell.Run("qemu-io", "-f", "qcow2", "-c", "read -P 5 2M 1M", "-c", "read -P 0 0 512k", "-c", "read -P 1 512k 512k", image);
    }

    [Fact]
    public void TLS_is_required_where_there_are_certificates()
    {
        string image = Make("raw");
        using TestExport export = new(image, certificates: files.Folder);
        string[] options =
        [
            "--object", $"tls-creds-x509,id=tls,endpoint=client,dir={files.Folder}", "--image-opts",
            $"driver=raw,file.driver=nbd,file.server.type=unix,file.server.path={export.SocketPath},file.export=disk,"
                + "file.tls-creds=tls,file.tls-hostname=localhost",
        ];
        Shell.Run("qemu-img", ["convert", .. options, "-O", "raw", $"{_folder}/copy.raw"]);
        Assert.Equal(File.ReadAllBytes(image), File.ReadAllBytes($"{_folder}/copy.raw"));
        using System.Diagnostics.Process plain = System.Diagnostics.Process.Start("qemu-img", ["info", export.Uri])!;
        plain.WaitForExit();
        Assert.NotEqual(0, plain.ExitCode);
    }

    [Fact]
    public void Clients_are_verified_even_if_the_authority_disappears()
    {
        string folder = Directory.CreateDirectory($"{_folder}/tls").FullName;
        foreach (string name in (string[])["ca-cert.pem", "server-cert.pem", "server-key.pem"])
        {
            File.Copy($"{files.Folder}/{name}", $"{folder}/{name}");
        }

        using TestExport export = new(Make("raw"), certificates: folder);
        Open(files.Folder).Dispose();
        Assert.Throws<UblkException>(() => Open(files.Authority));
        File.Delete($"{folder}/ca-cert.pem");
        Assert.Throws<UblkException>(() => Open(files.Authority));
        Assert.Throws<UblkException>(() => Open(files.Folder));

        NbdTarget Open(string certificates) => NbdServer.OpenUri(
            $"nbds+unix:///disk?socket={export.SocketPath}&tls-certificates={certificates}&tls-hostname=localhost");
    }

    [Fact]
    public void libnbd_sees_the_export_its_extents_and_its_data()
    {
        Assert.SkipUnless(File.Exists("/usr/bin/nbdinfo"), "libnbd-bin is not installed");
        string image = Make("qcow2");
        Shell.Run("qemu-img", "bitmap", "--add", "-g", "64k", "-f", "qcow2", image, "since");
        Shell.Run("qemu-io", "-f", "qcow2", "-c", "write -P 3 3M 128k", image);
        using TestExport export = new(image);
        string info = Shell.Run("nbdinfo", "--json", export.Uri);
        JsonElement found = JsonDocument.Parse(info).RootElement.GetProperty("exports")[0];
        Assert.Equal(16 << 20, found.GetProperty("export-size").GetInt64());
        Assert.True(found.GetProperty("is_read_only").GetBoolean());
        Assert.True(found.GetProperty("can_multi_conn").GetBoolean());
        Assert.Contains("disk", Shell.Run("nbdinfo", "--list", $"nbd+unix:///?socket={export.SocketPath}"), StringComparison.Ordinal);
        string dirty = Shell.Run("nbdinfo", "--map=qemu:dirty-bitmap:since", "--json", export.Uri);
        Assert.Equal([(0L, 0), (3 << 20, 1), ((3 << 20) + (128 << 10), 0)], JsonDocument.Parse(dirty).RootElement.EnumerateArray()
            .Select(extent => (extent.GetProperty("offset").GetInt64(), extent.GetProperty("type").GetInt32())));
        Shell.Run("nbdcopy", export.Uri, $"{_folder}/copy.raw");
        Shell.Run("qemu-img", "compare", "-f", "qcow2", "-F", "raw", image, $"{_folder}/copy.raw");
        Assert.Empty(export.Log);
    }

    // 16 MiB, of which the first and the ninth have data.
    private string Make(string format)
    {
        string image = $"{_folder}/{Guid.NewGuid():N}.{format}";
        Shell.Run("qemu-img", "create", "-q", "-f", format, image, "16M");
        Shell.Run("qemu-io", "-f", format, "-c", "write -P 1 0 1M", "-c", "write -P 2 8M 1M", image);
        return image;
    }

    private static (long Start, bool HasData)[] MapOf(string uri) =>
        Extents(Shell.Run("qemu-img", "map", "--output=json", "-f", "raw", uri));

    private static (long Start, bool HasData)[] Extents(string map) =>
    [
        .. JsonDocument.Parse(map).RootElement.EnumerateArray()
            .Select(extent => (extent.GetProperty("start").GetInt64(), extent.GetProperty("data").GetBoolean())),
    ];
}

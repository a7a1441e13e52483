using Ublk.Targets.Qcow2.Format;

namespace Ublk.Images.Content;

/// <summary>Image formats that are unknown here, by their magic numbers. An image of one is never taken for a raw disk.</summary>
/// <remarks>Content only ever makes an operation refuse; it never chooses a format other than raw and qcow2.</remarks>
internal static class ForeignFormat
{
    private const int Sector = 512;

    // block/*.c of qemu; the last is a descriptor in text, whose extents are other files.
    private static readonly (int Offset, byte[] Magic, string Name, string QemuName)[] Headers =
    [
        (0, [.. "vhdxfile"u8], "VHDX", "vhdx"),
        (0, [.. "conectix"u8], "VHD", "vpc"),
        (0, [.. "KDMV"u8], "VMDK", "vmdk"),
        (0, [.. "COWD"u8], "VMDK", "vmdk"),
        (0, [.. "QED\0"u8], "QED", "qed"),
        (0, [.. "WithoutFreeSpace"u8], "Parallels", "parallels"),
        (0, [.. "WithouFreSpacExt"u8], "Parallels", "parallels"),
        (0, [.. "LUKS"u8, 0xBA, 0xBE], "LUKS", "luks"),
        (64, [0x7F, 0x10, 0xDA, 0xBE], "VDI", "vdi"),
        (0, [.. "# Disk DescriptorFile"u8], "VMDK", "vmdk"),
    ];

    /// <summary>Refuses a file of such a format.</summary>
    /// <exception cref="UblkException">It is one; the message names the format and the command that converts it.</exception>
    public static void Refuse(DiskFile file)
    {
        byte[] start = new byte[Sector];
        file.Read(start, 0);
        if (ImageHeader.IsQcow2(start))
        {
            return;
        }

        (string name, string qemuName) = Headers.Where(header => start.AsSpan(header.Offset).StartsWith(header.Magic))
            .Select(header => (header.Name, header.QemuName)).FirstOrDefault();
        if (name is null && HasVhdFooter(file))
        {
            (name, qemuName) = ("VHD", "vpc");
        }

        if (name is not null)
        {
            string path = file.Path.Replace("'", "''", StringComparison.Ordinal);
            string conversion = qemuName == "luks"
                ? $"Open it with: cryptsetup open --type luks '{path}' NAME"
                : $"Convert it with: qemu-img convert -f {qemuName} -O qcow2 '{path}' '{Path.ChangeExtension(path, ".qcow2")}'";
            throw new UblkException(UblkError.NotSupported,
                $"{file.Path} is a {name} image; raw and qcow2 are known here. {conversion}. If it is a raw disk with such content, say so with "
                + "-Format Raw (-SourceFormat Raw of Convert-UblkImage).");
        }
    }

    // A VHD of fixed size is the disk and a footer, which has 511 bytes in some old files.
    private static bool HasVhdFooter(DiskFile file)
    {
        long length = file.Length;
        if (length < Sector)
        {
            return false;
        }

        byte[] end = new byte[Sector];
        file.Read(end, length - Sector);
        return end.AsSpan().StartsWith("conectix"u8) || end.AsSpan(1).StartsWith("conectix"u8);
    }
}

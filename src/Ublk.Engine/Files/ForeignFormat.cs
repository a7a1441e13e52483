namespace Ublk.Files;

/// <summary>Image formats by their magic numbers. An image of one is never taken for a raw disk.</summary>
/// <remarks>Content only ever makes an operation refuse; it never chooses a format other than raw and qcow2.</remarks>
internal static class ForeignFormat
{
    private const int Sector = 512;

    // As qemu calls them.
    private const string Qcow2 = "qcow2";
    private const string Luks = "luks";

    // block/*.c of qemu; the last is a descriptor in text, whose extents are other files.
    private static readonly (int Offset, byte[] Magic, string Name, string QemuName)[] Headers =
    [
        (0, [.. "QFI"u8, 0xFB], Qcow2, Qcow2),
        (0, [.. "vhdxfile"u8], "VHDX", "vhdx"),
        (0, [.. "conectix"u8], "VHD", "vpc"),
        (0, [.. "KDMV"u8], "VMDK", "vmdk"),
        (0, [.. "COWD"u8], "VMDK", "vmdk"),
        (0, [.. "QED\0"u8], "QED", "qed"),
        (0, [.. "WithoutFreeSpace"u8], "Parallels", "parallels"),
        (0, [.. "WithouFreSpacExt"u8], "Parallels", "parallels"),
        (0, [.. "LUKS"u8, 0xBA, 0xBE], "LUKS", Luks),
        (64, [0x7F, 0x10, 0xDA, 0xBE], "VDI", "vdi"),
        (0, [.. "# Disk DescriptorFile"u8], "VMDK", "vmdk"),
    ];

    /// <summary>Refuses a file of a format that cannot be read here.</summary>
    /// <exception cref="UblkException">It is one; the message names the format and the command that converts it.</exception>
    public static void Refuse(DiskFile file)
    {
        if (Recognize(file) is { } format && format.QemuName != Qcow2)
        {
            string remedy = format.QemuName == Luks
                ? $"Open it with: cryptsetup open --type luks '{Quoted(file)}' NAME"
                : Conversion(file, format.QemuName);
            throw new UblkException(UblkError.NotSupported,
                $"{file.Path} is a {format.Name} image; raw and qcow2 are known here. {remedy}. If it is a raw disk with such content, "
                + "say so with -Format Raw (-SourceFormat Raw of Convert-UblkImage).");
        }
    }

    /// <summary>Refuses a file that is to be a disk byte for byte, but holds an image. LUKS is legitimate content of a disk.</summary>
    /// <param name="path">The file or block device. One that cannot be opened is not refused here.</param>
    /// <exception cref="UblkException">It holds one; the message names the command that serves or converts it.</exception>
    public static void RefuseAsDisk(string path)
    {
        DiskFile file;
        try
        {
            file = DiskFile.Open(path);
        }
        catch (UblkException)
        {
            return;
        }

        using (file)
        {
            if (Recognize(file) is { } format && format.QemuName != Luks)
            {
                string remedy = format.QemuName == Qcow2 ? "Use -Target Qcow2" : Conversion(file, format.QemuName);
                throw new UblkException(UblkError.InvalidBackingFile,
                    $"{path} is a {format.Name} image, and a disk of its bytes would not be the disk in it. {remedy}. "
                    + "To serve the file byte for byte, add -Format Raw.");
            }
        }
    }

    private static (string Name, string QemuName)? Recognize(DiskFile file)
    {
        byte[] start = new byte[Sector];
        file.Read(start, 0);
        foreach ((int offset, byte[] magic, string name, string qemuName) in Headers)
        {
            if (start.AsSpan(offset).StartsWith(magic))
            {
                return (name, qemuName);
            }
        }

        return HasVhdFooter(file) ? ("VHD", "vpc") : null;
    }

    private static string Conversion(DiskFile file, string qemuName) =>
        $"Convert it with: qemu-img convert -f {qemuName} -O qcow2 '{Quoted(file)}' '{Path.ChangeExtension(Quoted(file), ".qcow2")}'";

    private static string Quoted(DiskFile file) => file.Path.Replace("'", "''", StringComparison.Ordinal);

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

using System.Text.Json;
using Ublk.Exports.Server;
using Ublk.Files;
using Ublk.Qcow2.Format;

namespace Ublk.Tests.Qcow2;

/// <summary>Reads persistent bitmaps as they are in an image.</summary>
internal static class StoredBitmap
{
    /// <summary>Which units of the disk a bitmap has as changed; null where it is missing, or marked as in use.</summary>
    /// <param name="file">The image.</param>
    /// <param name="name">The bitmap.</param>
    /// <param name="unit">Bytes of the disk for each value.</param>
    public static bool[]? Read(DiskFile file, string name, int unit)
    {
        ImageTables tables = new(file, ImageTables.ReadHeader(file));
        if (tables.ReadBitmaps().FirstOrDefault(bitmap => bitmap.Name == name) is not { IsConsistent: true } bitmap)
        {
            return null;
        }

        using BitmapContext context = new(file, bitmap);
        return Expand(context.Describe(0, tables.Header.Size).Select(extent => (extent.Length, extent.Flags != 0)), unit);
    }

    /// <summary>Which units of the disk a bitmap has as changed.</summary>
    public static bool[]? Read(string path, string name, int unit)
    {
        using DiskFile file = DiskFile.Open(path);
        return Read(file, name, unit);
    }

    /// <summary>Which units of the disk a bitmap has as changed, as qemu reads it.</summary>
    public static bool[] ReadWithQemu(QemuImage image, string name, int unit)
    {
        string map = Shell.Run("nbdinfo", $"--map=qemu:dirty-bitmap:{name}", "--json", "--",
            "[", "qemu-nbd", "-r", "-f", "qcow2", "-B", name, image.Path, "]");
        return Expand(JsonDocument.Parse(map).RootElement.EnumerateArray()
            .Select(extent => (extent.GetProperty("length").GetInt64(), extent.GetProperty("type").GetInt32() != 0)), unit);
    }

    private static bool[] Expand(IEnumerable<(long Length, bool IsDirty)> extents, int unit) =>
        [.. extents.SelectMany(extent => Enumerable.Repeat(extent.IsDirty, (int)(extent.Length / unit)))];
}

using System.Text;
using Microsoft.Win32.SafeHandles;
using Ublk.Interop;

namespace Ublk.Files;

/// <summary>Files of /proc and /sys. The names of files in them may have any bytes but NUL.</summary>
internal static class KernelFiles
{
    /// <summary>What follows the path of an open file whose name was removed (proc(5)).</summary>
    public const string DeletedMark = " (deleted)";

    // An attribute of sysfs has a page at most.
    private const int MaxLength = 4096;

    /// <summary>A file of one line; null where it cannot be read.</summary>
    /// <remarks>
    /// Describing a device reads ten of them. File.ReadAllText takes three times as long, and thirty times if the file does not exist.
    /// </remarks>
    public static unsafe string? Read(string path)
    {
        using SafeFileHandle file = Libc.Open(path, Libc.O_RDONLY);
        if (file.IsInvalid)
        {
            return null;
        }

        byte* text = stackalloc byte[MaxLength];
        nint length = Libc.PRead(file, text, MaxLength, 0);
        return length < 0 ? null : Encoding.UTF8.GetString(text, (int)length).Trim();
    }

    /// <summary>
    /// The names in a folder; none where it cannot be read. A disk may go while it is looked at, and its folders with it.
    /// </summary>
    public static IReadOnlyList<string> List(string path)
    {
        // An exception takes longer than all else here, and /sys/fs often has none of the folders that are looked for.
        if (!Directory.Exists(path))
        {
            return [];
        }

        try
        {
            return [.. Directory.EnumerateFileSystemEntries(path).Select(entry => Path.GetFileName(entry))];
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }

    /// <summary>Where a link leads; empty if the path is not a link, or cannot be read.</summary>
    public static string LinkTarget(string path)
    {
        try
        {
            return new FileInfo(path).LinkTarget ?? "";
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return "";
        }
    }

    /// <summary>The lines of a table, each character a byte. Only a line feed ends a line; a name may contain a carriage return.</summary>
    public static string[] Lines(string path) =>
        File.ReadAllText(path, Encoding.Latin1).Split('\n', StringSplitOptions.RemoveEmptyEntries);

    /// <summary>The name in a field of a line.</summary>
    /// <remarks>The kernel writes blanks, line feeds and backslashes as three octal digits (fs/seq_file.c, mangle_path()).</remarks>
    /// <param name="field">The field, each character a byte.</param>
    public static string Unescape(string field)
    {
        List<byte> name = new(field.Length);
        for (int at = 0; at < field.Length; at++)
        {
            bool isEscape = field[at] == '\\' && at + 3 < field.Length && field[at + 1] <= '3'
                && field.AsSpan(at + 1, 3).IndexOfAnyExceptInRange('0', '7') < 0;
            name.Add(isEscape ? Convert.ToByte(field.Substring(at + 1, 3), 8) : (byte)field[at]);
            at += isEscape ? 3 : 0;
        }

        return RawText.Of([.. name]);
    }
}

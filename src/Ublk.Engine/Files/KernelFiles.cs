using System.Text;
using Ublk.Interop;

namespace Ublk.Files;

/// <summary>Files of /proc and /sys. The names of files in them may have any bytes but NUL.</summary>
internal static class KernelFiles
{
    /// <summary>What follows the path of an open file whose name was removed (proc(5)).</summary>
    public const string DeletedMark = " (deleted)";

    /// <summary>A file of one line; null where it cannot be read.</summary>
    public static string? Read(string path)
    {
        try
        {
            return File.ReadAllText(path).Trim();
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <summary>
    /// The names in a folder; none where it cannot be read. A disk may go while it is looked at, and its folders with it.
    /// </summary>
    public static IReadOnlyList<string> List(string path)
    {
        try
        {
            return [.. Directory.EnumerateFileSystemEntries(path).Select(entry => Path.GetFileName(entry))];
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return [];
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

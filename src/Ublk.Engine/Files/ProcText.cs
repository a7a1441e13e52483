using System.Text;
using Ublk.Interop;

namespace Ublk.Files;

/// <summary>Tables and links of /proc with names of files in them, which may have any bytes but NUL.</summary>
internal static class ProcText
{
    /// <summary>What follows the path of an open file whose name was removed (proc(5)).</summary>
    public const string DeletedMark = " (deleted)";

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

using System.Text;

namespace Ublk.Devices;

/// <summary>Tables of /proc with names of files in them, which may have any bytes but NUL.</summary>
internal static class ProcText
{
    /// <summary>The lines of a table, each character a byte. Only a line feed ends a line; a name may contain a carriage return.</summary>
    public static string[] Lines(string path) =>
        File.ReadAllText(path, Encoding.Latin1).Split('\n', StringSplitOptions.RemoveEmptyEntries);

    /// <summary>A name, in which the kernel writes blanks, line feeds and backslashes as three octal digits (fs/seq_file.c, mangle_path()).</summary>
    /// <param name="field">The field, each character a byte; so is the result.</param>
    public static string Unescape(string field)
    {
        StringBuilder name = new(field.Length);
        for (int at = 0; at < field.Length; at++)
        {
            bool isEscape = field[at] == '\\' && at + 3 < field.Length && field.AsSpan(at + 1, 3).IndexOfAnyExceptInRange('0', '7') < 0;
            name.Append(isEscape ? (char)Convert.ToInt32(field.Substring(at + 1, 3), 8) : field[at]);
            at += isEscape ? 3 : 0;
        }

        return name.ToString();
    }

    /// <summary>A name as text; a byte that is no UTF-8 becomes U+FFFD.</summary>
    public static string Decode(string name) => Encoding.UTF8.GetString(Encoding.Latin1.GetBytes(name));
}

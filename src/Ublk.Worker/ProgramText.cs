using System.Globalization;
using Ublk.Interop;

namespace Ublk.Worker;

/// <summary>The code of the program and its libraries as far as it is resident.</summary>
internal static class ProgramText
{
    /// <summary>Drops the code from this process's memory; what serving needs comes back from the page cache at once.</summary>
    /// <remarks>Starting touches nearly all of it, serving very little: over 3 of 6 MB that every worker would keep.</remarks>
    public static void Forget()
    {
        foreach (string mapping in File.ReadLines("/proc/self/maps"))
        {
            // address-address rwxp offset device inode path; code is never written, so its pages are the file's.
            string[] fields = mapping.Split(' ', 6);
            if (fields.Length < 6 || fields[1] != "r-xp" || !fields[5].TrimStart().StartsWith('/'))
            {
                continue;
            }

            string[] bounds = fields[0].Split('-');
            nint start = nint.Parse(bounds[0], NumberStyles.HexNumber, CultureInfo.InvariantCulture);
            nint end = nint.Parse(bounds[1], NumberStyles.HexNumber, CultureInfo.InvariantCulture);
            _ = Libc.MAdvise(start, (nuint)(end - start), Libc.MADV_DONTNEED_LOCKED);
        }
    }
}

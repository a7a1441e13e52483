using System.Globalization;

namespace Ublk.Devices;

/// <summary>Names of local users.</summary>
internal static class UserNames
{
    /// <summary>A user's name; the number where the password file does not know it.</summary>
    public static string Find(uint userId)
    {
        string number = userId.ToString(CultureInfo.InvariantCulture);
        try
        {
            // name:password:uid:... (passwd(5)).
            return File.ReadLines("/etc/passwd").Select(line => line.Split(':'))
                .FirstOrDefault(fields => fields.Length > 2 && fields[2] == number)?[0] ?? number;
        }
        catch (IOException)
        {
            return number;
        }
    }
}

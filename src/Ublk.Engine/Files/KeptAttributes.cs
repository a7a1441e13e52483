using Microsoft.Win32.SafeHandles;
using Ublk.Interop;

namespace Ublk.Files;

/// <summary>What a file that takes another's place keeps of it: owner, group, permissions and labels.</summary>
internal static class KeptAttributes
{
    private const string AccessList = "system.posix_acl_access";
    private const int PermissionBits = 0xFFF;

    /// <summary>Gives a file the attributes of another. At no time does it allow more than that one does.</summary>
    /// <param name="from">The other file.</param>
    /// <param name="to">The file: one that only its owner may use.</param>
    /// <returns>0 or a positive errno.</returns>
    public static int Copy(SafeFileHandle from, SafeFileHandle to)
    {
        int errno = Libc.Statx(from, out Libc.StatxBuffer old);
        errno = errno == 0 ? CopyOwner(old, to) : errno;
        errno = errno == 0 ? CopyLabels(from, to) : errno;

        // Last: the permissions are those of the access list's mask, too.
        return errno == 0 && Libc.FChMod(to, (uint)(old.Mode & PermissionBits)) != 0 ? Libc.LastErrno : errno;
    }

    private static int CopyOwner(in Libc.StatxBuffer old, SafeFileHandle to)
    {
        int errno = Libc.Statx(to, out Libc.StatxBuffer own);
        bool isOwned = (own.UserId, own.GroupId) == (old.UserId, old.GroupId);
        return errno == 0 && !isOwned && Libc.FChOwn(to, old.UserId, old.GroupId) != 0 ? Libc.LastErrno : errno;
    }

    private static int CopyLabels(SafeFileHandle from, SafeFileHandle to)
    {
        int errno = Libc.ListAttributes(from, out string[] names);

        // A folder may give its new files an access list.
        string[] copied = [.. names.Where(IsCopied).Append(AccessList).Distinct()];
        for (int i = 0; i < copied.Length && errno == 0; i++)
        {
            errno = Libc.GetAttribute(from, copied[i], out byte[]? value);
            errno = errno == 0 ? CopyLabel(to, copied[i], value) : errno;
        }

        return errno;
    }

    private static int CopyLabel(SafeFileHandle to, string name, byte[]? value) =>
        Libc.GetAttribute(to, name, out byte[]? own) == 0 && own.AsSpan().SequenceEqual(value) && (own is null) == (value is null)
            ? 0
            : Libc.SetAttribute(to, name, value);

    // ima and evm sign the content of the one file.
    private static bool IsCopied(string name) => name is not ("security.ima" or "security.evm")
        && (name == AccessList
            || name.StartsWith("security.", StringComparison.Ordinal) || name.StartsWith("user.", StringComparison.Ordinal));
}

using Ublk.Interop;

namespace Ublk.Targets.Nbd;

/// <summary>What a server's error is to the disk's clients.</summary>
internal static class NbdError
{
    /// <summary>The errno, positive, of a connection that is gone: the one by which layers above know a lost transport.</summary>
    public const int LostConnection = Libc.ENOLINK;

    /// <summary>The errno, positive, of a write to where one of a lost connection may still be executed.</summary>
    public const int Uncertain = Libc.EIO;

    /// <summary>The errno, positive, of a flush after writes were lost with the server's cache.</summary>
    public const int LostWrites = Libc.EIO;

    /// <summary>
    /// The errno, positive, for an error of the protocol. One that the protocol does not know, EAGAIN among them, is EINVAL.
    /// </summary>
    public static int ToErrno(uint error) => error switch
    {
        1 => Libc.EPERM,
        5 => Libc.EIO,
        12 => Libc.ENOMEM,
        28 => Libc.ENOSPC,
        75 => Libc.EOVERFLOW,
        95 => Libc.EOPNOTSUPP,
        108 => LostConnection,
        _ => Libc.EINVAL,
    };

    /// <summary>The error of the protocol for an errno, positive. One that the protocol does not know is EIO.</summary>
    public static uint FromErrno(int errno) => errno switch
    {
        Libc.EPERM or Libc.EROFS or Libc.EACCES => 1,
        Libc.ENOMEM => 12,
        Libc.EINVAL => 22,
        Libc.ENOSPC or Libc.EDQUOT => 28,
        Libc.EOVERFLOW => 75,
        Libc.EOPNOTSUPP => 95,
        Libc.ESHUTDOWN => 108,
        _ => 5,
    };
}

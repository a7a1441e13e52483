namespace Ublk.Specification;

/// <summary>How the data of a disk's requests gets from its clients to the target and back.</summary>
public enum BufferMode
{
    /// <summary>Whichever of the others is the fastest that the target and the driver can; it may differ with a request's size.</summary>
    Auto,

    /// <summary>The driver copies it to and from the worker's memory.</summary>
    Copy,

    /// <summary>The worker copies it, to and from memory that only requests in flight need (UBLK_F_USER_COPY, from 6.5).</summary>
    UserCopy,

    /// <summary>Not copied: the target's files read and write the clients' memory (UBLK_F_SUPPORT_ZERO_COPY, from 6.15).</summary>
    ZeroCopy,
}

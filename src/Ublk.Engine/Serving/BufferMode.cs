namespace Ublk.Serving;

/// <summary>How the data of a disk's requests gets from its clients to the target and back.</summary>
public enum BufferMode
{
    /// <summary>Without a copy where the target and the driver can and it is faster, else copied.</summary>
    Auto,

    /// <summary>The driver copies it to and from the worker's memory.</summary>
    Copy,

    /// <summary>Nobody copies it: the target's files read and write the clients' memory (UBLK_F_SUPPORT_ZERO_COPY, from 6.15).</summary>
    ZeroCopy,
}

using System.Runtime.InteropServices;
using Ublk.Interop;

namespace Ublk.Targets.Rbd;

/// <summary>The exclusive lock of an image, which is not handed over while the image is open.</summary>
/// <param name="image">librbd's handle.</param>
/// <param name="name">The image's name.</param>
internal sealed unsafe class RbdLock(nint image, RbdName name)
{
    /// <summary>Takes the lock.</summary>
    /// <param name="predecessor">
    /// The address of a client that is dead: if the lock is still its own, it is broken, which excludes that client from the cluster, so
    /// that nothing it sent is executed any more. Null for none. No other client's lock is broken.
    /// </param>
    /// <returns>The address of this client.</returns>
    /// <exception cref="UblkException">Another client has the lock, or the image has none.</exception>
    public string Acquire(string? predecessor)
    {
        if (predecessor is not null && FindOwner() == predecessor)
        {
            Break(predecessor);
        }

        int result = LibRbd.AcquireLock(image, LibRbd.RBD_LOCK_MODE_EXCLUSIVE);
        string? owner = FindOwner();
        return result >= 0 && owner is not null ? owner : throw Refusal(result, owner);
    }

    // Another owner by now is refused when the lock is taken.
    private void Break(string owner)
    {
        int result = LibRbd.BreakLock(image, LibRbd.RBD_LOCK_MODE_EXCLUSIVE, owner);
        if (result < 0 && result is not (-Libc.ENOENT or -Libc.EBUSY or -Libc.EAGAIN))
        {
            throw RbdError.Of(result, $"take the lock of the image {name} from the last worker, the client at {owner}",
                "The Ceph user needs the right to exclude clients: ceph auth caps client.USER mon 'profile rbd' osd 'profile rbd'");
        }
    }

    private UblkException Refusal(int result, string? owner) => owner is not null
        ? new UblkException(UblkError.BackingFileInUse,
            $"The image {name} is in use by the client at {owner}, which holds its exclusive lock. Stop that client, or use "
                + $"-ReadOnly. Show it: rbd lock ls {name}", -result, "lock")
        : RbdError.Of(result, $"lock the image {name}",
            $"It needs the feature exclusive-lock: rbd feature enable {name} exclusive-lock");

    private string? FindOwner()
    {
        byte* owner = null;
        nuint count = 1;
        if (LibRbd.GetLockOwners(image, out _, &owner, ref count) < 0 || count == 0)
        {
            return null;
        }

        string? text = Marshal.PtrToStringUTF8((nint)owner);
        LibRbd.FreeLockOwners(&owner, count);
        return text;
    }
}

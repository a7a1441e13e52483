using System.Runtime.InteropServices;
using Ublk.Interop;

namespace Ublk.Targets.Rbd;

/// <summary>The exclusive lock of an image, which is not handed over while the image is open.</summary>
/// <param name="image">librbd's handle.</param>
/// <param name="name">The image's name.</param>
internal sealed unsafe class RbdLock(nint image, RbdName name)
{
    /// <summary>Takes the lock.</summary>
    /// <returns>The address of this client.</returns>
    /// <exception cref="UblkException">Another client has the lock, or the image has none.</exception>
    public string Acquire()
    {
        int result = LibRbd.AcquireLock(image, LibRbd.RBD_LOCK_MODE_EXCLUSIVE);
        string? owner = FindOwner();
        return result >= 0 && owner is not null ? owner : throw Refusal(result, owner);
    }

    /// <summary>
    /// Breaks the lock of a client that is dead, and of no other: that client is excluded from the cluster, so that nothing it sent is
    /// executed any more.
    /// </summary>
    /// <param name="predecessor">The address of that client.</param>
    /// <param name="owner">The address of the client that has the lock instead; null for none.</param>
    /// <returns>Whether the lock was still its own.</returns>
    /// <exception cref="UblkException">It cannot be broken.</exception>
    public bool TryBreak(string predecessor, out string? owner)
    {
        owner = FindOwner();
        if (owner != predecessor)
        {
            return false;
        }

        int result = LibRbd.BreakLock(image, LibRbd.RBD_LOCK_MODE_EXCLUSIVE, predecessor);
        return result >= 0 ? true : throw RbdError.Of(result,
            $"take the lock of the image {name} from the last worker, the client at {predecessor}",
            "The Ceph user needs the right to exclude clients: ceph auth caps client.USER mon 'profile rbd' osd 'profile rbd'");
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

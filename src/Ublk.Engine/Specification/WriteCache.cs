namespace Ublk.Specification;

/// <summary>When the writes of a disk are durable.</summary>
public enum WriteCache
{
    /// <summary>When the disk is flushed, or at once where the storage has no volatile cache.</summary>
    Back,

    /// <summary>When they are answered: the disk has no volatile cache, and the kernel sends no flush.</summary>
    Through,
}

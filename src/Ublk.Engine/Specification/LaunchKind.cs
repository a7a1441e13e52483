namespace Ublk.Specification;

/// <summary>How a worker comes to its device.</summary>
internal enum LaunchKind
{
    /// <summary>It makes the device.</summary>
    New,

    /// <summary>It serves one that was stopped, or lost its disk with its worker, from the start.</summary>
    Start,

    /// <summary>It takes over a disk that has waited for it.</summary>
    Recover,
}

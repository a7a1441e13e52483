namespace Ublk.Targets.Qcow2;

/// <summary>What a discard does.</summary>
internal enum DiscardMode
{
    /// <summary>Clusters are given up and become holes of the host's file.</summary>
    Unmap,

    /// <summary>Nothing; nor do freed clusters become holes.</summary>
    Ignore,

    /// <summary>As <see cref="Unmap"/>, and what is discarded reads as zeroes.</summary>
    Zero,
}

namespace Ublk.Qcow2.Format;

/// <summary>Where a part of the disk is.</summary>
internal enum ExtentKind
{
    /// <summary>Unallocated: read from the backing file, or zeroes without one.</summary>
    Unallocated,

    /// <summary>It reads as zeroes.</summary>
    Zero,

    /// <summary>It reads as zeroes, and has a place in the file all the same. Where that makes no difference: <see cref="Zero"/>.</summary>
    ZeroAllocated,

    /// <summary>In the data file as it is. Of a disk that is served: at a place that nothing else refers to.</summary>
    Data,

    /// <summary>Of a disk that is served: in the data file, at a place that something else may refer to.</summary>
    SharedData,

    /// <summary>Part of one cluster that is compressed in the image.</summary>
    Compressed,

    /// <summary>The entry contradicts itself.</summary>
    Invalid,

    /// <summary>Unknown: the L2 table is not in memory.</summary>
    NotCached,
}

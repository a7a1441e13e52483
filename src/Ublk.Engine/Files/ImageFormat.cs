namespace Ublk.Files;

/// <summary>How a disk lies in a file.</summary>
public enum ImageFormat
{
    /// <summary>Byte for byte.</summary>
    Raw,

    /// <summary>QEMU's copy-on-write format.</summary>
    Qcow2,
}

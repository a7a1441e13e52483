namespace Ublk.Qcow2.Format;

/// <summary>Incompatible features: required to open an image (header bytes 72 to 79).</summary>
[Flags]
internal enum IncompatibleFeatures : ulong
{
    None = 0,

    /// <summary>Reference counts may be wrong: they must be rebuilt before the image is written.</summary>
    Dirty = 1 << 0,

    /// <summary>Metadata was caught lying: the image must not be written.</summary>
    Corrupt = 1 << 1,

    /// <summary>The disk's data is in another file.</summary>
    ExternalData = 1 << 2,

    /// <summary>Compressed clusters are of the type that the header names.</summary>
    CompressionType = 1 << 3,

    /// <summary>L2 entries have 16 bytes and describe 32 subclusters.</summary>
    ExtendedL2 = 1 << 4,

    /// <summary>All that this engine knows.</summary>
    Known = Dirty | Corrupt | ExternalData | CompressionType | ExtendedL2,
}

/// <summary>Features that may be ignored (header bytes 80 to 87).</summary>
[Flags]
internal enum CompatibleFeatures : ulong
{
    None = 0,

    /// <summary>Reference counts may be written late, while the image is marked dirty.</summary>
    LazyRefcounts = 1 << 0,
}

/// <summary>Autoclear features: a writer clears those it does not know (header bytes 88 to 95).</summary>
[Flags]
internal enum AutoclearFeatures : ulong
{
    None = 0,

    /// <summary>The persistent bitmaps agree with the disk.</summary>
    Bitmaps = 1 << 0,

    /// <summary>The external data file is a raw image of the whole disk.</summary>
    RawExternalData = 1 << 1,

    /// <summary>All that this engine knows.</summary>
    Known = Bitmaps | RawExternalData,
}

/// <summary>How compressed clusters are compressed (header byte 104).</summary>
internal enum CompressionType : byte
{
    /// <summary>Raw deflate streams, which everybody calls zlib.</summary>
    Zlib = 0,

    /// <summary>Zstandard frames.</summary>
    Zstd = 1,
}

/// <summary>How the disk's data is encrypted (header bytes 32 to 35).</summary>
internal enum EncryptionMethod : uint
{
    None = 0,

    /// <summary>AES in CBC mode with a key that is the password: given up by its makers.</summary>
    Aes = 1,

    /// <summary>LUKS version 1.</summary>
    Luks = 2,
}

using System.Buffers.Binary;
using Ublk.Files;
using Ublk.Io;
using Ublk.Qcow2.Format;

namespace Ublk.Qcow2.State;

/// <summary>The header's fields that change while an image is open, and the block of the file they are in.</summary>
internal sealed class HeaderBlock : IDisposable
{
    private readonly AsyncMutex _mutex = new();
    private readonly ImageFile _file;
    private readonly AlignedBuffer _block;

    /// <summary>Reads the header's block.</summary>
    /// <exception cref="UblkException">It cannot be read.</exception>
    public HeaderBlock(ImageFile file, ImageHeader header)
    {
        _file = file;
        _block = new AlignedBuffer(int.Max(512, file.Alignment));
        Version = header.Version;
        Features = header.Incompatible;
        file.Read(_block.Span, 0);
        if (Version >= 3)
        {
            // The first write of the block clears what is unknown here.
            AutoclearFeatures known = header.Autoclear & AutoclearFeatures.Known;
            BinaryPrimitives.WriteUInt64BigEndian(_block.Span[ImageHeader.AutoclearFeaturesField..], (ulong)known);
        }
    }

    /// <summary>2 or 3.</summary>
    public int Version { get; }

    /// <summary>The incompatible features as they are in the file now.</summary>
    public IncompatibleFeatures Features { get; private set; }

    /// <summary>Sets the incompatible features, durably. In version 2 there are none to set.</summary>
    public IoTask<int> SetFeaturesAsync(IncompatibleFeatures features)
    {
        if (Version < 3)
        {
            return 0;
        }

        Features = features;
        return WriteAsync(ImageHeader.IncompatibleFeaturesField, (ulong)features);
    }

    /// <summary>Sets the autoclear features, durably.</summary>
    public IoTask<int> SetAutoclearAsync(AutoclearFeatures features) =>
        WriteAsync(ImageHeader.AutoclearFeaturesField, (ulong)features);

    /// <summary>Points the header to the refcount table, durably.</summary>
    public IoTask<int> SetRefcountTableAsync(long offset, int clusters) =>
        WriteAsync(ImageHeader.RefcountTableOffsetField, (ulong)offset, clusters);

    /// <inheritdoc/>
    public void Dispose() => _block.Dispose();

    // All fields of one change are in one sector, which a disk writes whole or not at all.
    private async IoTask<int> WriteAsync(int field, ulong value, int following = -1)
    {
        await _mutex.EnterAsync();
        using AsyncMutex.Turn turn = new(_mutex);
        BinaryPrimitives.WriteUInt64BigEndian(_block.Span[field..], value);
        if (following >= 0)
        {
            BinaryPrimitives.WriteInt32BigEndian(_block.Span[(field + 8)..], following);
        }

        int result = await _file.WriteAsync(_block.Part(0, _block.Length), 0);
        return result < 0 ? result : await _file.SyncAsync();
    }
}

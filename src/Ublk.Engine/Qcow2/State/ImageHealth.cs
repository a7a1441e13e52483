using Ublk.Interop;
using Ublk.Io;
using Ublk.Qcow2.Format;

namespace Ublk.Qcow2.State;

/// <summary>Whether an open image may still be written.</summary>
/// <param name="header">Where the corrupt bit is; null for an image that is only read.</param>
internal sealed class ImageHealth(HeaderBlock? header)
{
    private int _failure;

    /// <summary>0, or the negative errno that every write gets.</summary>
    public int Failure => Volatile.Read(ref _failure);

    /// <summary>Metadata is invalid: all writes fail from now on.</summary>
    /// <returns>-EIO, for the request that found it.</returns>
    public async IoTask<int> MarkCorruptAsync()
    {
        if (header is not null && Interlocked.CompareExchange(ref _failure, -Libc.EIO, 0) == 0)
        {
            await header.SetFeaturesAsync(header.Features | IncompatibleFeatures.Corrupt);
        }

        return -Libc.EIO;
    }

    /// <summary>
    /// Data that the kernel had taken may be lost (fdatasync(2) failed, and reports it only once): nothing is written any more that
    /// might refer to it.
    /// </summary>
    /// <returns>The errno.</returns>
    public int MarkLost(int result)
    {
        Interlocked.CompareExchange(ref _failure, result, 0);
        return result;
    }
}

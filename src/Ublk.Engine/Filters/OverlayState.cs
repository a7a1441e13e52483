using System.Text;
using Microsoft.Win32.SafeHandles;
using Ublk.Interop;

namespace Ublk.Filters;

/// <summary>
/// A copy of an overlay's map in memory that outlives the worker: which blocks are in the overlay although its file does not say so
/// yet. The next worker goes on with it. A power cut takes it, as it may take what was not flushed.
/// </summary>
/// <remarks>
/// Of the overlays of one disk only the outermost is written, so the device's one file is enough: it names the overlay that made it.
/// </remarks>
/// <param name="path">The file.</param>
/// <param name="overlay">The overlay's path.</param>
/// <param name="generation">The overlay's generation.</param>
internal sealed class OverlayState(string path, string overlay, ulong generation) : IDisposable
{
    private const int Page = 4096;
    private readonly Lock _lock = new();
    private readonly byte[] _head = HeadOf(overlay, generation);
    private SafeFileHandle? _file;
    private bool _hasFailed;

    /// <summary>Adds the blocks that a former worker noted.</summary>
    /// <exception cref="UblkException">They cannot be read.</exception>
    public unsafe void LoadInto(OverlayMap map)
    {
        using SafeFileHandle file = Libc.Open(path, Libc.O_RDONLY | Libc.O_NOFOLLOW);
        if (file.IsInvalid || !IsOurs(file))
        {
            return;
        }

        ulong[] words = new ulong[Page / sizeof(ulong)];
        long position = 0;
        nint read;
        do
        {
            fixed (ulong* bytes = words)
            {
                read = Libc.PRead(file, (byte*)bytes, Page, Page + position);
            }

            for (int word = 0; word < read / sizeof(ulong); word++)
            {
                map.AddWord((position / sizeof(ulong)) + word, words[word]);
            }

            position += read;
        }
        while (read > 0);
        if (read < 0)
        {
            throw UblkException.FromErrno(Libc.LastErrno, "pread", $"{path} cannot be read");
        }
    }

    /// <summary>Notes words of the map as they are now.</summary>
    /// <param name="words">The words, in the map itself.</param>
    /// <param name="first">The number of the first.</param>
    /// <returns>Whether they are noted; they must get into the overlay's file at once otherwise.</returns>
    public unsafe bool TryNote(ReadOnlySpan<ulong> words, long first)
    {
        if (!TryOpen())
        {
            return false;
        }

        // The kernel takes them from the map under a lock of the file's, so that no thread can put an older state over a newer one.
        nint length = words.Length * sizeof(ulong);
        fixed (ulong* start = words)
        {
            return Libc.PWrite((int)_file!.DangerousGetHandle(), (nint)start, length, Page + (first * sizeof(ulong))) == length;
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _file?.Dispose();

    // An overlay without a generation has the head that older versions wrote: they may have left this one their state.
    private static byte[] HeadOf(string overlay, ulong generation)
    {
        string text = $"UBLKCOWSTATE {Path.GetFullPath(overlay)}";
        byte[] head = Encoding.UTF8.GetBytes(generation == 0 ? text : $"{text}\0{generation:x16}");
        Array.Resize(ref head, Page);
        return head;
    }

    private unsafe bool IsOurs(SafeFileHandle file)
    {
        byte[] head = new byte[Page];
        fixed (byte* bytes = head)
        {
            return Libc.PRead(file, bytes, Page, 0) == Page && head.AsSpan().SequenceEqual(_head);
        }
    }

    // Made when something is written first: an overlay that is only read leaves it to another.
    private bool TryOpen()
    {
        lock (_lock)
        {
            if (_file is not null || _hasFailed)
            {
                return _file is not null;
            }

            SafeFileHandle file = Libc.Open(path, Libc.O_RDWR | Libc.O_CREAT | Libc.O_NOFOLLOW, Libc.OwnerReadWrite);
            if (!file.IsInvalid && (IsOurs(file) || TryClaim(file)))
            {
                _file = file;
                return true;
            }

            file.Dispose();
            _hasFailed = true;
            return false;
        }
    }

    private unsafe bool TryClaim(SafeFileHandle file)
    {
        fixed (byte* head = _head)
        {
            return Libc.FTruncate(file, 0) == 0 && Libc.PWrite((int)file.DangerousGetHandle(), (nint)head, Page, 0) == Page;
        }
    }
}

using Microsoft.Win32.SafeHandles;

namespace Ublk.Files;

/// <summary>Opens the files of an image and of what is under it, each once.</summary>
/// <param name="wantsDirect">Whether to pass by the page cache; null: where that can be.</param>
/// <param name="force">Whether to open what is in use.</param>
/// <param name="first">How many files the queues have before these.</param>
internal sealed class OpenFiles(bool? wantsDirect, bool force, int first = 0)
{
    private readonly List<SafeFileHandle> _handles = [];

    /// <summary>The open files, in the order the target's operations count them.</summary>
    public IReadOnlyList<SafeFileHandle> Handles => _handles;

    /// <summary>Opens a file.</summary>
    /// <param name="path">The file.</param>
    /// <param name="readOnly">Whether for reading alone.</param>
    /// <param name="maxAlignment">
    /// The largest alignment that the caller accepts, in bytes; 0 to read the header only.
    /// </param>
    /// <exception cref="UblkException">It cannot be opened, is in use, or cannot be opened as was asked for.</exception>
    public ImageFile Open(string path, bool readOnly, int maxAlignment)
    {
        bool isLook = maxAlignment == 0;
        BackingFile? file = wantsDirect == false || isLook ? null : BackingFile.TryOpen(path, readOnly, direct: true, force);
        int alignment = file is null ? 1 : AlignmentOf(file);
        if (file is not null && (alignment > maxAlignment || (file.IsInMemory && wantsDirect is null)))
        {
            file.Dispose();
            file = null;
        }

        if (file is null)
        {
            if (wantsDirect == true && !isLook)
            {
                throw new UblkException(UblkError.NotSupported,
                    $"{path} cannot be used with direct I/O: its file system has none, or only in units larger than the image's clusters. "
                        + "Leave -DirectIO out.");
            }

            alignment = 1;
            file = BackingFile.TryOpen(path, readOnly, direct: false, force)!;
        }

        if (!isLook)
        {
            _handles.Add(file.Handle);
        }

        return new RingImageFile(file, first + _handles.Count - 1, alignment);
    }

    private static int AlignmentOf(BackingFile file) =>
        file.IsBlockDevice ? BlockDeviceIoctl.GetLogicalBlockSize(file) : file.DirectAlignment();
}

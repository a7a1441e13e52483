using Microsoft.Win32.SafeHandles;
using Ublk.Interop;

namespace Ublk.Processes;

/// <summary>File systems that write nothing as long as this is there, and whose disks hold all that was written before.</summary>
internal sealed class FrozenFileSystems : IDisposable
{
    private readonly List<SafeFileHandle> _frozen = [];

    /// <summary>Freezes the file systems.</summary>
    /// <param name="mountPoints">Where they are mounted.</param>
    /// <exception cref="UblkException">One cannot be frozen; none is.</exception>
    public unsafe FrozenFileSystems(IEnumerable<string> mountPoints)
    {
        try
        {
            foreach (string path in mountPoints)
            {
                SafeFileHandle folder = Libc.Open(path, Libc.O_RDONLY);
                int errno = folder.IsInvalid || Libc.IoCtl(folder, Libc.FIFREEZE, null) != 0 ? Libc.LastErrno : 0;
                if (errno == 0)
                {
                    _frozen.Add(folder);
                    continue;
                }

                folder.Dispose();

                // The same file system at another place, or one that was frozen by somebody else.
                if (errno != Libc.EBUSY)
                {
                    throw UblkException.FromErrno(errno, "FIFREEZE", $"The file system at {path} cannot be frozen");
                }
            }
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>Lets the file systems go on.</summary>
    public unsafe void Dispose()
    {
        foreach (SafeFileHandle folder in _frozen)
        {
            _ = Libc.IoCtl(folder, Libc.FITHAW, null);
            folder.Dispose();
        }

        _frozen.Clear();
    }
}

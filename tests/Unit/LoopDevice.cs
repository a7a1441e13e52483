using Microsoft.Win32.SafeHandles;
using Ublk.Interop;

namespace Ublk.Tests;

/// <summary>A block device of the kernel's loop driver whose size changes; it goes with the test. Needs root.</summary>
internal sealed class LoopDevice : IDisposable
{
    private readonly TemporaryFile _file;

    /// <summary>Makes one.</summary>
    /// <param name="size">Its size in bytes.</param>
    /// <param name="blockSize">Its logical block size in bytes.</param>
    /// <param name="directory">Where the file behind it is.</param>
    public LoopDevice(long size, int blockSize = 512, string directory = "/var/tmp")
    {
        Assert.SkipUnless(Environment.IsPrivilegedProcess
            && File.Exists("/dev/loop-control"), "needs root and the loop driver, to make a block device");
        _file = new TemporaryFile(size, directory);
        Path = Shell.Run("losetup", "--find", "--show", "--sector-size", $"{blockSize}", _file.Path).Trim();
    }

    public string Path { get; }

    /// <summary>The file behind it.</summary>
    public string BackingPath => _file.Path;

    public long Size
    {
        get => long.Parse(Shell.Run("blockdev", "--getsize64", Path));
        set
        {
            using (SafeFileHandle file = Libc.Open(_file.Path, Libc.O_RDWR))
            {
                Assert.Equal(0, Libc.FTruncate(file, value));
            }

            Shell.Run("losetup", "--set-capacity", Path);
        }
    }

    public void Dispose()
    {
        // A device that was set read-only stays so for its next user.
        Shell.Run("blockdev", "--setrw", Path);
        Shell.Run("losetup", "--detach", Path);
        _file.Dispose();
    }
}

using System.Runtime.InteropServices;
using Ublk.Files;

namespace Ublk.Tests.Files;

public sealed partial class PublicFolderTests : IDisposable
{
    private const int CLONE_FS = 0x200;
    private const UnixFileMode ForAll = (UnixFileMode)0b111_101_101;
    private const UnixFileMode ForOwner = (UnixFileMode)0b111_000_000;

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("ublk-test-");

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public void All_users_may_look_into_what_a_restrictive_umask_makes()
    {
        string folder = $"{_folder}/disk/by-ublk";
        UnderUmask(0b000_111_111, () => PublicFolder.Create(folder));
        Assert.Equal(ForAll, File.GetUnixFileMode(folder));
        Assert.Equal(ForAll, File.GetUnixFileMode($"{_folder}/disk"));
    }

    [Fact]
    public void One_that_exists_keeps_its_mode()
    {
        string closed = $"{_folder}/closed";
        Directory.CreateDirectory(closed, ForOwner);
        PublicFolder.Create(closed);
        Assert.Equal(ForOwner, File.GetUnixFileMode(closed));
    }

    // A thread that no longer shares its file system attributes has an umask of its own, so other tests keep theirs.
    private static void UnderUmask(int mask, Action action)
    {
        Thread thread = new(() =>
        {
            Assert.Equal(0, Unshare(CLONE_FS));
            _ = Umask(mask);
            action();
        });
        thread.Start();
        thread.Join();
    }

    [LibraryImport("libc", EntryPoint = "unshare", SetLastError = true)]
    private static partial int Unshare(int flags);

    [LibraryImport("libc", EntryPoint = "umask")]
    private static partial int Umask(int mask);
}

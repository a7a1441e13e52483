using Ublk.Catalog;
using Ublk.Targets;

namespace Ublk.Tests.Targets;

/// <summary>What is behind a disk, while its size is changed.</summary>
public class DiskStorageTests
{
    [Fact]
    public void A_file_gets_the_disks_size_and_its_own_back()
    {
        using TemporaryFile file = new(4096);
        Dictionary<string, string> options = new() { ["Path"] = file.Path, ["DirectIO"] = "false", ["Offset"] = "1024" };
        using DiskStorage storage = Open("Loop", options);
        Assert.Equal(3072, storage.Size);
        Assert.Equal(options, storage.Resize(8192));
        Assert.Equal(9216, new FileInfo(file.Path).Length);
        storage.Undo();
        Assert.Equal(4096, new FileInfo(file.Path).Length);
    }

    [Fact]
    public void A_file_behind_a_read_only_disk_is_left_as_it_is()
    {
        using TemporaryFile file = new(4096);
        using DiskStorage storage = Open("Loop", new() { ["Path"] = file.Path }, readOnly: true);
        Assert.Equal(UblkError.InvalidArgument, Assert.Throws<UblkException>(() => storage.Resize(8192)).Error);
        Assert.Equal(4096, new FileInfo(file.Path).Length);
    }

    [Fact]
    public void Nothing_has_the_size_it_is_told()
    {
        using DiskStorage storage = Open("Null", []);
        Assert.Null(storage.Size);
        Assert.Equal("1048576", storage.Resize(1 << 20)["Size"]);
    }

    private static DiskStorage Open(string target, Dictionary<string, string> options, bool readOnly = false) =>
        TargetCatalog.Find(target).OpenStorage!(options, readOnly);
}

using Ublk.Devices;
using Ublk.Files;

namespace Ublk.Tests.Devices;

/// <summary>A disk may go while it is looked at: what is read of it is then nothing, and no error.</summary>
public sealed class SysfsDiskTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("ublk-sysfs-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void A_folder_that_comes_and_goes_is_listed_or_empty()
    {
        string disk = Path.Combine(_folder, "ublkb0");
        bool isDone = false;
        Thread kernel = new(() =>
        {
            while (!Volatile.Read(ref isDone))
            {
                Directory.CreateDirectory(disk);
                Directory.Delete(disk);
            }
        });
        kernel.Start();
        try
        {
            for (int look = 0; look < 20_000; look++)
            {
                Assert.Empty(KernelFiles.List(disk));
            }
        }
        finally
        {
            Volatile.Write(ref isDone, true);
            kernel.Join();
        }
    }

    [Fact]
    public void A_disk_that_is_not_there_has_nothing()
    {
        const int nobodys = 1_000_000;
        SysfsDisk disk = new(nobodys);
        Assert.Null(disk.QueueCount);
        Assert.Null(disk.Size);
        Assert.Empty(DeviceUsers.Layers(nobodys));
        Assert.Empty(DeviceUsers.Openers(nobodys));
    }
}

using Ublk.Targets;

namespace MyDisk.Tests;

/// <summary>What the disk's clients see, without a driver.</summary>
public class MyDiskTests
{
    [Fact]
    public void What_is_written_is_read()
    {
        using MyDiskTarget disk = new(1 << 20);
        TargetClient client = new(disk);
        byte[] data = [.. Enumerable.Repeat((byte)7, 4096)];
        client.Write(8192, data);
        Assert.Equal(data, client.Read(8192, 4096));
        Assert.Equal(new byte[4096], client.Read(4096, 4096));
    }
}

namespace Ublk.Tests;

/// <summary>A file that goes with the test. /var/tmp is on a disk's file system, /dev/shm on tmpfs.</summary>
internal sealed class TemporaryFile : IDisposable
{
    public TemporaryFile(long size, string directory = "/var/tmp")
    {
        Path = $"{directory}/ublk-test-{Guid.NewGuid():N}";
        using FileStream file = File.Create(Path);
        file.SetLength(size);
    }

    public string Path { get; }

    public byte[] Content => File.ReadAllBytes(Path);

    public void Dispose() => File.Delete(Path);
}

using Ublk.Logging;

namespace Ublk.Tests.Logging;

/// <summary>The log's file is a file: nothing else in its place is written to.</summary>
public sealed class DeviceLogTests : IDisposable
{
    private readonly string _folder = Directory.CreateDirectory($"/dev/shm/ublk-log-{Guid.NewGuid():N}").FullName;

    private string Log => $"{_folder}/ublk.log";

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void Lines_are_added_and_others_read_none_of_them()
    {
        DeviceLog.TryAppend(Log, "one\n");
        DeviceLog.TryAppend(Log, "two\n");
        Assert.Equal(["one", "two"], File.ReadAllLines(Log));
        Assert.Equal(UnixFileMode.None,
            File.GetUnixFileMode(Log) & (UnixFileMode.OtherRead | UnixFileMode.OtherWrite | UnixFileMode.GroupWrite));
    }

    [Fact]
    public void A_link_is_not_followed()
    {
        File.WriteAllText($"{_folder}/victim", "mine");
        File.CreateSymbolicLink(Log, $"{_folder}/victim");
        DeviceLog.TryAppend(Log, "line\n");
        Assert.Equal("mine", File.ReadAllText($"{_folder}/victim"));
    }

    [Fact]
    public void A_pipe_makes_nobody_wait()
    {
        Shell.Run("mkfifo", Log);
        DeviceLog.TryAppend(Log, "line\n");
        Assert.Equal(FileAttributes.Normal, File.GetAttributes(Log));
    }
}

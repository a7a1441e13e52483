using Ublk.Devices;

namespace Ublk.Tests.Devices;

/// <summary>Each user's records lie where only that user can write.</summary>
public class StateDirectoryTests
{
    [Theory]
    [InlineData(0, null, "/run/ublk")]
    [InlineData(0, "/run/user/0", "/run/ublk")]
    [InlineData(1000, null, "/run/user/1000/ublk")]
    [InlineData(1000, "", "/run/user/1000/ublk")]
    [InlineData(1000, "relative", "/run/user/1000/ublk")]
    [InlineData(1000, "/home/a/run", "/home/a/run/ublk")]
    public void Paths_follow_the_user(uint userId, string? runtimeDirectory, string path) =>
        Assert.Equal(path, StateDirectory.PathFor(userId, runtimeDirectory));

    [Fact]
    public void What_another_user_calls_his_directory_is_not_asked()
    {
        const uint other = 4_000_000;
        Assert.Equal($"/run/user/{other}/ublk", StateDirectory.Of(other).Path);
        Assert.Null(StateDirectory.Of(other).TryRead(0));
    }
}

using Microsoft.Win32.SafeHandles;
using Ublk.Devices;

namespace Ublk.Tests.Devices;

/// <summary>Each user's records lie where only that user can write.</summary>
public class StateDirectoryTests
{
    // Beyond every device's, so that none is in the way.
    private const int Id = 1 << 21;

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

    [Fact]
    public void An_id_is_locked_once_at_a_time_and_no_other_with_it()
    {
        RequireRoot();
        using (SafeFileHandle? first = StateDirectory.Own.TryLockDevice(Id))
        {
            Assert.NotNull(first);
            Assert.Null(StateDirectory.Own.TryLockDevice(Id));
            using SafeFileHandle? other = StateDirectory.Own.TryLockDevice(Id + 1);
            Assert.NotNull(other);
        }

        using SafeFileHandle? second = StateDirectory.Own.TryLockDevice(Id);
        Assert.NotNull(second);
    }

    [Fact]
    public void Many_at_once_lock_an_id_each()
    {
        RequireRoot();
        Parallel.For(1, 2000, id =>
        {
            using SafeFileHandle? idLock = StateDirectory.Own.TryLockDevice(Id + id);
            Assert.NotNull(idLock);
        });
    }

    [Fact]
    public void Who_waits_for_a_lock_can_give_up()
    {
        RequireRoot();
        using SafeFileHandle? held = StateDirectory.Own.TryLockDevice(Id);
        using CancellationTokenSource stop = new(TimeSpan.FromMilliseconds(20));
        Assert.Throws<OperationCanceledException>(() => StateDirectory.Own.LockDevice(Id, stop.Token));
    }

    // An ordinary user's directory is there only while he is logged in.
    private static void RequireRoot() => Assert.SkipUnless(Environment.IsPrivilegedProcess, "needs root, for the state directory");
}

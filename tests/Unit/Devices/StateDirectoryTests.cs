using Microsoft.Win32.SafeHandles;
using Ublk.Devices;
using Ublk.Processes;

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
    public void The_environment_of_another_user_is_not_consulted()
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

    [Fact]
    public void A_record_of_thousands_of_threads_is_read_as_it_was_written()
    {
        RequireRoot();
        QueueInfo[] queues = [.. Enumerable.Range(0, 5000).Select(queue => new QueueInfo(queue, 1_000_000 + queue, "0-127"))];
        DeviceRecord record = new()
        {
            Specification = new() { Id = Id, Target = "Null", Cookie = 1 }, ProcessId = 1, StartTime = DateTime.UtcNow, Queues = queues,
        };
        using SafeFileHandle idLock = StateDirectory.Own.LockDevice(Id, CancellationToken.None);
        StateDirectory.Own.Write(record);
        try
        {
            Assert.Equal(queues, StateDirectory.Own.TryRead(Id)!.Queues);
        }
        finally
        {
            StateDirectory.Own.Delete(Id, 1);
        }
    }

    [Fact]
    public void A_record_that_could_not_be_read_is_not_written()
    {
        RequireRoot();
        DeviceRecord record = new()
        {
            Specification = new() { Id = Id, Target = "Null", Cookie = 1 }, ProcessId = 1, StartTime = DateTime.UtcNow, LastExit =
                new string('x', 17 << 20),
        };
        using SafeFileHandle idLock = StateDirectory.Own.LockDevice(Id, CancellationToken.None);
        Assert.Equal(UblkError.InvalidArgument, Assert.Throws<UblkException>(() => StateDirectory.Own.Write(record)).Error);
        Assert.Null(StateDirectory.Own.TryRead(Id));
    }

    [Fact]
    public void A_process_that_has_the_id_of_a_supervisor_is_not_taken_for_it()
    {
        int self = Environment.ProcessId;
        DeviceRecord record = new() { Specification = new() { Target = "Null" }, ProcessId = 1, StartTime = DateTime.UtcNow };
        Assert.False(record.IsSupervised);
        Assert.True((record with { SupervisorId = self }).IsSupervised);
        Assert.True((record with { SupervisorId = self, SupervisorStartTicks = ProcessStatus.StartTicksOf(self) }).IsSupervised);
        Assert.False((record with { SupervisorId = self, SupervisorStartTicks = ProcessStatus.StartTicksOf(self) - 1 }).IsSupervised);
    }

    // An ordinary user's directory exists only during a login session.
    private static void RequireRoot() => Assert.SkipUnless(Environment.IsPrivilegedProcess, "needs root, for the state directory");
}

using System.Diagnostics;
using Ublk.Control;
using Ublk.Counters;
using Ublk.Devices;
using Ublk.Interop;
using Ublk.Launching;
using Ublk.Lifecycle;
using Ublk.Serving;
using Ublk.Specification;
using Ublk.Targets.Null;
using Ublk.Tests.Control;
using Ublk.Workers;

namespace Ublk.Tests.Launching;

/// <summary>What fails half-way leaves nothing: a device that was added is stopped and deleted.</summary>
public sealed class UndoTests
{
    // No driver of this machine has a device of this id.
    private const int Id = 1_000_000;

    private const uint Info = UblkAbi.CmdGetDevInfo & UblkAbi.CommandNumberMask;
    private const uint Add = UblkAbi.CmdAddDev & UblkAbi.CommandNumberMask;
    private const uint Delete = UblkAbi.CmdDelDev & UblkAbi.CommandNumberMask;
    private const uint DeleteAsync = UblkAbi.CmdDelDevAsync & UblkAbi.CommandNumberMask;
    private const uint Stop = UblkAbi.CmdStopDev & UblkAbi.CommandNumberMask;
    private const uint TryStop = UblkAbi.CmdTryStopDev & UblkAbi.CommandNumberMask;
    private const uint SetParams = UblkAbi.CmdSetParams & UblkAbi.CommandNumberMask;
    private const uint StartRecovery = UblkAbi.CmdStartUserRecovery & UblkAbi.CommandNumberMask;

    private static readonly DeviceSpecification Unprivileged = new() { Id = Id, Target = "Null", Unprivileged = true };

    private readonly FakeDriver _driver = new FakeDriver().AnswerInfo(() => new UblkDeviceInfo { DeviceId = Id });

    [Fact]
    public void A_device_that_was_not_added_is_not_removed()
    {
        _driver.Answer(UblkAbi.CmdAddDev, -Libc.EEXIST);

        Assert.Equal(UblkError.DeviceIdInUse, Assert.Throws<UblkException>(() => Create(LaunchKind.New)).Error);
        Assert.Equal([Add], _driver.Sent);
    }

    [Theory]
    [InlineData(Libc.EINVAL, UblkError.OperationFailed)]
    [InlineData(Libc.ETIMEDOUT, UblkError.TimedOut)]
    public void A_device_whose_parameters_are_refused_is_removed(int errno, UblkError error)
    {
        _driver.Answer(UblkAbi.CmdSetParams, -errno);

        Assert.Equal(error, Assert.Throws<UblkException>(() => Create(LaunchKind.New)).Error);
        Assert.Equal([Add, SetParams, Stop, Delete], _driver.Sent);
    }

    [Fact]
    public void A_device_whose_node_does_not_come_is_removed()
    {
        UblkException exception = Assert.Throws<UblkException>(() => Create(LaunchKind.New));

        Assert.Equal(Libc.ENOENT, exception.Errno);
        Assert.Contains($"/dev/ublkc{Id}", exception.Message, StringComparison.Ordinal);
        Assert.Equal([Add, SetParams, Stop, Delete], _driver.Sent);
    }

    [Fact]
    public void The_first_failure_is_told_even_if_undoing_fails_too()
    {
        _driver.Answer(UblkAbi.CmdSetParams, -Libc.EINVAL).Answer(UblkAbi.CmdStopDev, -Libc.ETIMEDOUT);

        Assert.Equal("SET_PARAMS", Assert.Throws<UblkException>(() => Create(LaunchKind.New)).Operation);
        Assert.Equal([Add, SetParams, Stop], _driver.Sent);
    }

    [Fact]
    public void A_device_that_was_there_before_stays_when_it_cannot_be_served()
    {
        _driver.Answer(UblkAbi.CmdStartUserRecovery, -Libc.EINVAL).Answer(UblkAbi.CmdGetParams, TellParameters);
        Assert.Throws<UblkException>(() => Create(LaunchKind.Recover));
        Assert.DoesNotContain(Stop, _driver.Sent);
        Assert.DoesNotContain(Delete, _driver.Sent);
        Assert.Contains(StartRecovery, _driver.Sent);
    }

    [Fact]
    public void A_disk_whose_parameters_are_not_known_is_not_recovered()
    {
        _driver.Answer(UblkAbi.CmdGetParams, -Libc.EIO);
        Assert.Equal("GET_PARAMS", Assert.Throws<UblkException>(() => Create(LaunchKind.Recover)).Operation);
        Assert.DoesNotContain(StartRecovery, _driver.Sent);
    }

    [Fact]
    public void A_device_that_took_the_id_of_a_stopped_one_is_not_deleted_to_start_that()
    {
        _driver.AnswerInfo(() => new UblkDeviceInfo { DeviceId = Id, ServerCookie = 1 });
        Assert.Equal(UblkError.DeviceNotFound, Assert.Throws<UblkException>(() => Create(LaunchKind.Start)).Error);
        Assert.Equal([Info], _driver.Sent);
    }

    [Fact]
    public async Task A_worker_that_serves_a_recovered_device_is_approved_of_whatever_comes_after()
    {
        Assert.SkipUnless(Environment.IsPrivilegedProcess, "needs root, for the state directory");
        const ulong cookie = 3;
        DriverState state = DriverState.Quiesced;
        _driver.AnswerInfo(() => new UblkDeviceInfo { DeviceId = Id, ServerCookie = cookie, State = (ushort)state });
        _driver.Answer(UblkAbi.CmdEndUserRecovery, _ =>
        {
            state = DriverState.Live;
            return 0;
        });
        using (StateDirectory.Own.LockDevice(Id, CancellationToken.None))
        {
            StateDirectory.Own.Write(new DeviceRecord
            {
                Specification = new() { Id = Id, Target = "Null", Cookie = cookie }, ProcessId = 1, StartTime = DateTime.UtcNow,
            });
        }

        Task<bool> worker = null!;
        try
        {
            using ControlDevice control = _driver.Open();

            // There is no such device here, so what the launcher looks up after the recovery fails.
            Assert.Throws<UblkException>(() => DeviceLauncher.Restart(control, Id, [DriverState.Quiesced], (_, channel) =>
            {
                worker = Task.Run(() =>
                {
                    using LaunchChannel launcher = LaunchChannel.Connect(channel);
                    launcher.ReceiveOrder();
                    launcher.SendReport(new WorkerReport { Stage = WorkerStage.Ready });
                    return launcher.ReceiveApproval();
                });
                return new StartedWorker(Environment.ProcessId);
            }, _ => { }, CancellationToken.None));
            Assert.True(await worker);
        }
        finally
        {
            StateDirectory.Own.Delete(Id, cookie);
        }
    }

    [Fact]
    public void A_feature_the_driver_lacks_is_noticed_before_anything_is_added()
    {
        FakeDriver old = new() { Features = UblkFeatures.CmdIoctlEncode };
        using ControlDevice control = old.Open();
        DeviceSpecification specification = new() { Id = Id, Target = "Null", NoPartitionScan = true };

        UblkException exception = Assert.Throws<UblkException>(() => Create(control, LaunchKind.New, specification));
        Assert.Equal(UblkError.NotSupported, exception.Error);
        Assert.Contains("7.0", exception.Message, StringComparison.Ordinal);
        Assert.Empty(old.Sent);
    }

    [Fact]
    public void A_driver_that_binds_a_queue_to_one_thread_gets_no_device_with_several()
    {
        FakeDriver old = new() { Features = UblkFeatures.CmdIoctlEncode };
        using ControlDevice control = old.Open();
        DeviceSpecification specification = new() { Id = Id, Target = "Null", ThreadsPerQueue = 2 };

        UblkException exception = Assert.Throws<UblkException>(() => Create(control, LaunchKind.New, specification));
        Assert.Equal(UblkError.NotSupported, exception.Error);
        Assert.StartsWith("ThreadsPerQueue", exception.Message, StringComparison.Ordinal);
        Assert.Empty(old.Sent);
    }

    [Fact]
    public unsafe void A_device_that_became_roots_instead_of_the_users_is_deleted()
    {
        _driver.Answer(UblkAbi.CmdAddDev, request =>
        {
            UblkDeviceInfo* info = (UblkDeviceInfo*)request.Payload.Address;
            Assert.True(((UblkFeatures)info->Flags).HasFlag(UblkFeatures.UnprivilegedDev));
            info->Flags &= ~(ulong)UblkFeatures.UnprivilegedDev;
            return 0;
        });
        using ControlDevice control = _driver.Open();

        UblkException exception = Assert.Throws<UblkException>(() => Create(control, LaunchKind.New, Unprivileged));
        Assert.Equal(UblkError.InvalidArgument, exception.Error);
        Assert.Equal([Add, Delete], _driver.Sent);
    }

    [Fact]
    public void A_driver_without_devices_of_ordinary_users_gets_none()
    {
        FakeDriver old = new() { Features = UblkFeatures.CmdIoctlEncode };
        using ControlDevice control = old.Open();

        UblkException exception = Assert.Throws<UblkException>(() => Create(control, LaunchKind.New, Unprivileged));
        Assert.Equal(UblkError.NotSupported, exception.Error);
        Assert.Empty(old.Sent);
    }

    [Fact]
    public void A_removal_stops_and_deletes()
    {
        Remove(noWait: false);
        Assert.Equal([Info, Info, TryStop, Info, Delete], _driver.Sent);
    }

    [Fact]
    public void A_removal_that_does_not_wait_lets_the_driver_delete_later()
    {
        Remove(noWait: true);
        Assert.Equal([Info, Info, TryStop, Info, DeleteAsync], _driver.Sent);
    }

    [Theory]
    [InlineData(Libc.EOPNOTSUPP)]
    [InlineData(Libc.EINVAL)]
    public void A_driver_that_cannot_delete_later_deletes_now(int errno)
    {
        _driver.Answer(UblkAbi.CmdDelDevAsync, -errno);
        Remove(noWait: true);
        Assert.Equal([Info, Info, TryStop, Info, DeleteAsync, Delete], _driver.Sent);
    }

    [Fact]
    public void A_removal_works_with_a_driver_that_stops_at_any_rate()
    {
        FakeDriver old = new FakeDriver { Features = UblkFeatures.CmdIoctlEncode }.AnswerInfo(() => new UblkDeviceInfo { DeviceId = Id });
        using ControlDevice control = old.Open();
        DeviceRemover.Remove(control, Id, force: false, noWait: false, step: null, CancellationToken.None);
        Assert.Equal([Info, Info, Stop, Info, Delete], old.Sent);
    }

    [Theory]
    [InlineData(Libc.ENODEV, UblkError.DeviceNotFound)]
    [InlineData(Libc.EPERM, UblkError.PermissionDenied)]
    public void A_removal_of_what_is_not_to_be_had_ends_at_the_question(int errno, UblkError error)
    {
        _driver.Answer(UblkAbi.CmdGetDevInfo, -errno);
        Assert.Equal(error, Assert.Throws<UblkException>(() => Remove(noWait: false)).Error);
        Assert.Equal([Info], _driver.Sent);
    }

    [Theory]
    [InlineData(Libc.EBUSY, UblkError.DeviceInUse)]
    [InlineData(Libc.ETIMEDOUT, UblkError.TimedOut)]
    [InlineData(Libc.EPERM, UblkError.PermissionDenied)]
    public void A_disk_that_does_not_stop_is_not_deleted(int errno, UblkError error)
    {
        _driver.Answer(UblkAbi.CmdTryStopDev, -errno);
        Assert.Equal(error, Assert.Throws<UblkException>(() => Remove(noWait: false)).Error);
        Assert.DoesNotContain(Delete, _driver.Sent);
    }

    [Fact]
    public void A_removal_that_is_given_up_goes_no_further()
    {
        using CancellationTokenSource stop = new();
        _driver.Answer(UblkAbi.CmdTryStopDev, _ =>
        {
            stop.Cancel();
            return 0;
        });
        using ControlDevice control = _driver.Open();

        Assert.Throws<OperationCanceledException>(() =>
            DeviceRemover.Remove(control, Id, force: false, noWait: false, step: null, stop.Token));
        Assert.Equal([Info, Info, TryStop], _driver.Sent);
    }

    [Fact]
    public void A_device_that_took_the_id_since_it_was_looked_up_is_left_alone()
    {
        ulong cookie = 0;
        _driver.AnswerInfo(() => new UblkDeviceInfo { DeviceId = Id, ServerCookie = cookie++ });
        Remove(noWait: false);
        Assert.DoesNotContain(_driver.Sent, command => command != Info);
    }

    [Fact]
    public void A_device_that_took_the_id_while_its_former_owner_was_stopped_is_not_deleted()
    {
        ulong cookie = 1;
        _driver.AnswerInfo(() => new UblkDeviceInfo { DeviceId = Id, ServerCookie = cookie });
        _driver.Answer(UblkAbi.CmdTryStopDev, _ =>
        {
            cookie = 2;
            return -Libc.ENODEV;
        });
        Remove(noWait: false);
        Assert.Equal([Info, Info, TryStop, Info], _driver.Sent);
    }

    [Fact]
    public void A_server_that_a_user_only_names_is_neither_killed_nor_waited_for()
    {
        UblkDeviceInfo info = new() { ServerPid = Environment.ProcessId, OwnerUid = Libc.GetEffectiveUserId() };
        Assert.True(DeviceStopper.IsOwnersProcess(info));
        info.OwnerUid = OtherUser.Id;
        Assert.False(DeviceStopper.IsOwnersProcess(info));
    }

    [Fact]
    public void A_launch_whose_worker_dies_removes_what_it_added()
    {
        Assert.Equal(UblkError.WorkerDied, Assert.Throws<UblkException>(() => Launch("true", CancellationToken.None)).Error);
        Assert.Equal([Info, Stop, Delete], _driver.Sent.TakeLast(3));
    }

    [Fact]
    public void A_launch_that_is_given_up_kills_its_worker_and_removes_what_it_added()
    {
        using CancellationTokenSource stop = new();
        Process worker = null!;
        Assert.Throws<OperationCanceledException>(() => Launch("sleep", stop.Token, started =>
        {
            worker = started;
            stop.Cancel();
        }));

        using (worker)
        {
            Assert.True(worker.WaitForExit(TimeSpan.FromSeconds(30)));
            Assert.Equal(128 + Libc.SIGKILL, worker.ExitCode);
        }

        Assert.Equal([Info, Stop, Delete], _driver.Sent.TakeLast(3));
    }

    [Fact]
    public void A_launch_leaves_a_device_of_another_cookie_alone()
    {
        Assert.Throws<UblkException>(() => Launch("true", CancellationToken.None, cookieOfDevice: 1));
        Assert.DoesNotContain(Stop, _driver.Sent);
        Assert.DoesNotContain(Delete, _driver.Sent);
    }

    // Those of a null disk of the size that is recovered here.
    private static unsafe int TellParameters(FakeDriver.Request request)
    {
        using NullTarget target = new(1 << 20);
        *(UblkParameters*)request.Payload.Address = DeviceParameters.Create(new DeviceSpecification { Target = "Null" }, target.Geometry);
        return 0;
    }

    private static DeviceServer Create(ControlDevice control, LaunchKind kind, DeviceSpecification specification)
    {
        using NullTarget target = new(1 << 20);
        using CounterMemory counters = new(null, threads: 1, []);
        return DeviceServer.Create(control, kind, specification, target, counters, () => { }, _ => { });
    }

    private void Create(LaunchKind kind)
    {
        using ControlDevice control = _driver.Open();
        Create(control, kind, new DeviceSpecification { Id = Id, Target = "Null" });
    }

    private void Remove(bool noWait)
    {
        using ControlDevice control = _driver.Open();
        DeviceRemover.Remove(control, Id, force: false, noWait, step: null, CancellationToken.None);
    }

    // The program stands for a worker that never calls; the driver has the device from its start on.
    private void Launch(string program, CancellationToken cancellation, Action<Process>? onStarted = null, ulong? cookieOfDevice = null)
    {
        Assert.SkipUnless(Environment.IsPrivilegedProcess, "needs root, for the lock on the state directory");
        ulong? cookie = null;
        _driver.Answer(UblkAbi.CmdGetDevInfo, request => cookie is null ? -Libc.ENODEV : Tell(request, cookie.Value));
        using ControlDevice control = _driver.Open();
        DeviceLauncher.Start(control, new DeviceSpecification { Id = Id, Target = "Null" }, StartWorker, _ => { }, cancellation);

        StartedWorker StartWorker(DeviceSpecification specification, string channel)
        {
            cookie = cookieOfDevice ?? specification.Cookie;
            Process worker = Process.Start(program, program == "sleep" ? ["1000"] : []);
            onStarted?.Invoke(worker);
            return new StartedWorker(worker.Id);
        }
    }

    private static unsafe int Tell(FakeDriver.Request request, ulong cookie)
    {
        *(UblkDeviceInfo*)request.Payload.Address = new UblkDeviceInfo { DeviceId = Id, ServerCookie = cookie };
        return 0;
    }
}

using Ublk.Control;
using Ublk.Interop;

namespace Ublk.Tests.Control;

/// <summary>Each command goes out as the driver wants it, and what the driver answers comes back as it is.</summary>
public class ControlDeviceTests
{
    private const int Id = 7;
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(3);

    // Commands whose refusal is thrown, with the answers the driver may give (ublk_drv.c) and those of io_uring.
    private static readonly (string Name, uint Command, Action<ControlDevice> Send, int[] Errnos)[] Thrown =
    [
        ("SET_PARAMS", UblkAbi.CmdSetParams, control => control.SetParameters(Id, new UblkParameters()), [22, 13, 14, 19, 1]),
        ("GET_PARAMS", UblkAbi.CmdGetParams, control => control.GetParameters(Id), [19, 22, 14, 1]),
        ("GET_DEV_INFO", UblkAbi.CmdGetDevInfo, control => control.GetInfo(Id), [19, 14, 1]),
        ("GET_QUEUE_AFFINITY", UblkAbi.CmdGetQueueAffinity, control => control.GetQueueAffinity(Id, 0), [22, 14, 19, 1]),
        ("START_DEV", UblkAbi.CmdStartDev, control => control.Start(Id, 1, Limit), [22, 17, 16, 4, 19, 1, 110]),
        ("STOP_DEV", UblkAbi.CmdStopDev, control => control.Stop(Id, Limit), [19, 1, 110]),
        ("DEL_DEV", UblkAbi.CmdDelDev, control => control.Delete(Id, Limit), [4, 19, 1, 110]),
        ("END_USER_RECOVERY", UblkAbi.CmdEndUserRecovery, control => control.EndRecovery(Id, 1, Limit), [4, 22, 16, 19, 1, 110]),
        ("UPDATE_SIZE", UblkAbi.CmdUpdateSize, control => control.UpdateSize(Id, 1 << 20), [19, 95, 1]),
    ];

    // Commands whose refusal the caller looks at.
    private static readonly (string Name, uint Command, Func<ControlDevice, int> Send, int[] Errnos)[] Returned =
    [
        ("ADD_DEV", UblkAbi.CmdAddDev, control => Add(control), [22, 17, 1, 13, 28, 12, 110]),
        ("GET_DEV_INFO", UblkAbi.CmdGetDevInfo, control => control.TryGetInfo(Id, out _), [19, 14, 1]),
        ("GET_PARAMS", UblkAbi.CmdGetParams, control => control.TryGetParameters(Id, out _), [19, 22, 14, 1]),
        ("STOP_DEV", UblkAbi.CmdStopDev, control => control.TryStop(Id, Limit, evenIfOpen: true), [19, 1, 110]),
        ("TRY_STOP_DEV", UblkAbi.CmdTryStopDev, control => control.TryStop(Id, Limit), [16, 19, 95, 1, 110]),
        ("DEL_DEV_ASYNC", UblkAbi.CmdDelDevAsync, control => control.TryDeleteAsync(Id), [22, 19, 95, 1]),
        ("START_USER_RECOVERY", UblkAbi.CmdStartUserRecovery, control => control.TryStartRecovery(Id), [22, 16, 19, 1]),
        ("QUIESCE_DEV", UblkAbi.CmdQuiesceDev, control => control.TryQuiesce(Id, Limit), [95, 19, 16, 4, 1, 110]),
    ];

    public static TheoryData<string, int> ThrownAnswers =>
        [.. Thrown.SelectMany(command => command.Errnos.Select(errno => (command.Name, errno)))];

    public static TheoryData<string, int> ReturnedAnswers =>
        [.. Returned.SelectMany(command => command.Errnos.Select(errno => (command.Name, errno)))];

    [Theory]
    [MemberData(nameof(ThrownAnswers))]
    public void A_refusal_is_an_exception_that_names_the_command_and_the_device(string name, int errno)
    {
        (_, uint command, Action<ControlDevice> send, _) = Thrown.Single(command => command.Name == name);
        FakeDriver driver = new FakeDriver().Answer(command, -errno);
        using ControlDevice control = driver.Open();

        UblkException exception = Assert.Throws<UblkException>(() => send(control));

        Assert.Equal((name, Id, errno), (exception.Operation, exception.DeviceId, exception.Errno));
        Assert.Contains($"device {Id}", exception.Message, StringComparison.Ordinal);
        (UblkError error, string says) = errno switch
        {
            Libc.ENODEV => (UblkError.DeviceNotFound, "no ublk device"),
            Libc.EPERM or Libc.EACCES => (UblkError.PermissionDenied, name),
            Libc.ETIMEDOUT => (UblkError.TimedOut, name),
            _ => (UblkError.OperationFailed, name),
        };
        Assert.Equal(error, exception.Error);
        Assert.Contains(says, exception.Message, StringComparison.Ordinal);
        Assert.Equal([FakeDriver.NumberOf(command)], driver.Sent);
    }

    [Theory]
    [MemberData(nameof(ReturnedAnswers))]
    public void A_refusal_the_caller_looks_at_comes_back_as_it_is(string name, int errno)
    {
        (_, uint command, Func<ControlDevice, int> send, _) = Returned.Single(command => command.Name == name);
        FakeDriver driver = new FakeDriver().Answer(command, -errno);
        using ControlDevice control = driver.Open();

        Assert.Equal(-errno, send(control));
        Assert.Equal([FakeDriver.NumberOf(command)], driver.Sent);
    }

    [Fact]
    public void Every_command_for_a_device_of_an_ordinary_user_names_its_node()
    {
        FakeDriver driver = new() { IsUnprivileged = true };
        using ControlDevice control = driver.Open();
        IReadOnlyList<uint> sent = SendAll(control);

        Assert.Equal(
            sent,
            driver.Requests.Where(request => request.Payload.DevicePathLength > 0 || request.Command == UblkAbi.CmdAddDev)
                .Select(request => request.Command));
        Assert.Equal(Thrown.Length + Returned.Length - 1, driver.Paths.Count);
        Assert.All(driver.Paths, path => Assert.Equal($"/dev/ublkc{Id}", path));
    }

    [Fact]
    public unsafe void What_goes_with_a_path_arrives_and_what_comes_back_is_found()
    {
        FakeDriver driver = new FakeDriver { IsUnprivileged = true }
            .Answer(UblkAbi.CmdSetParams, request =>
            {
                Assert.Equal(sizeof(UblkParameters), request.Payload.Length);
                Assert.Equal(12345UL, ((UblkParameters*)request.Payload.Address)->DeviceSectors);
                return 0;
            })
            .AnswerInfo(() => new UblkDeviceInfo { OwnerUid = 1000, QueueDepth = 17 });
        using ControlDevice control = driver.Open();

        control.SetParameters(Id, new UblkParameters { DeviceSectors = 12345 });
        Assert.Equal(0, control.TryGetInfo(Id, out UblkDeviceInfo info));
        Assert.Equal((1000U, (ushort)17), (info.OwnerUid, info.QueueDepth));
        control.Start(Id, 4711, Limit);
        Assert.Equal(4711UL, driver.Requests[^1].Payload.Data);
    }

    [Fact]
    public void A_refusal_of_a_command_with_a_path_comes_back_as_it_is()
    {
        FakeDriver driver = new FakeDriver { IsUnprivileged = true }.Answer(UblkAbi.CmdSetParams, -Libc.EINVAL);
        using ControlDevice control = driver.Open();

        Assert.Equal(Libc.EINVAL, Assert.Throws<UblkException>(() => control.SetParameters(Id, new UblkParameters())).Errno);
        Assert.Single(driver.Paths);
    }

    [Fact]
    public void A_node_that_udev_has_not_yet_given_away_is_waited_for()
    {
        int refusals = 3;
        FakeDriver driver = new FakeDriver { IsUnprivileged = true }
            .Answer(UblkAbi.CmdGetDevInfo, _ => refusals-- > 0 ? -Libc.EACCES : 0);
        using ControlDevice control = driver.Open();

        Assert.Equal(0, control.AwaitInfo(Id, Timeout, out _));
        Assert.Equal(4, driver.Paths.Count);
    }

    [Theory]
    [InlineData(Libc.EACCES)]
    [InlineData(Libc.ENODEV)]
    [InlineData(Libc.EPERM)]
    public void A_wait_for_a_node_ends_with_the_last_answer(int errno)
    {
        FakeDriver driver = new FakeDriver().Answer(UblkAbi.CmdGetDevInfo, -errno);
        using ControlDevice control = driver.Open();

        Assert.Equal(-errno, control.AwaitInfo(Id, TimeSpan.Zero, out _));
    }

    [Fact]
    public void Every_command_goes_out_encoded_for_its_device_and_for_no_queue()
    {
        FakeDriver driver = new();
        using ControlDevice control = driver.Open();
        IReadOnlyList<uint> sent = SendAll(control);

        Assert.Equal(sent, driver.Requests.Select(request => request.Command));
        Assert.All(driver.Requests, request =>
            Assert.Equal(((uint)Id, UblkAbi.NoQueue), (request.Payload.DeviceId, request.Payload.QueueId)));
    }

    [Fact]
    public void Numbers_go_out_in_the_command_itself()
    {
        FakeDriver driver = new();
        using ControlDevice control = driver.Open();

        control.Start(Id, 1234, Limit);
        control.EndRecovery(Id, 1235, Limit);
        control.UpdateSize(Id, 1 << 20);
        control.TryQuiesce(Id, Limit);

        Assert.Equal([1234UL, 1235UL, 2048UL, 3000UL], driver.Requests.Select(request => request.Payload.Data));
        Assert.All(driver.Requests, request => Assert.Equal(0UL, request.Payload.Address));
    }

    [Fact]
    public void A_wait_is_as_long_as_the_caller_says_and_a_quiesce_outlasts_the_driver()
    {
        FakeDriver driver = new();
        using ControlDevice control = driver.Open();

        control.Start(Id, 1, Limit);
        control.Stop(Id, Limit);
        control.Delete(Id, Limit);
        control.TryQuiesce(Id, Limit);

        Assert.All(driver.Requests.SkipLast(1), request => Assert.Equal(Limit, request.Timeout));
        Assert.True(driver.Requests[^1].Timeout > Limit);
    }

    [Fact]
    public unsafe void What_the_driver_writes_comes_back()
    {
        FakeDriver driver = new FakeDriver()
            .Answer(UblkAbi.CmdAddDev, request =>
            {
                UblkDeviceInfo* info = (UblkDeviceInfo*)request.Payload.Address;
                Assert.Equal(3, info->QueueCount);
                info->QueueCount = 2;
                return 0;
            })
            .Answer(UblkAbi.CmdGetQueueAffinity, request =>
            {
                new Span<byte>((void*)request.Payload.Address, request.Payload.Length).Clear();
                *(ulong*)request.Payload.Address = 0b1101;
                return 0;
            });
        using ControlDevice control = driver.Open();

        UblkDeviceInfo wanted = new() { DeviceId = Id, QueueCount = 3 };
        Assert.Equal(0, control.TryAdd(ref wanted));
        Assert.Equal(2, wanted.QueueCount);
        Assert.Equal("0,2-3", control.GetQueueAffinity(Id, 1).ToString());
    }

    [Theory]
    [InlineData(Libc.EOPNOTSUPP)]
    [InlineData(Libc.EINVAL)]
    [InlineData(Libc.ENODEV)]
    public void A_driver_of_bare_numbers_is_noticed_and_then_spoken_to_in_them(int encodedError)
    {
        FakeDriver driver = new() { Features = null, EncodedError = encodedError };
        using ControlDevice control = driver.Open();

        Assert.Equal(0, control.TryGetInfo(Id, out _));
        control.Stop(Id, Limit);

        Assert.Equal(
            [UblkAbi.CmdGetDevInfo, FakeDriver.NumberOf(UblkAbi.CmdGetDevInfo), FakeDriver.NumberOf(UblkAbi.CmdStopDev)],
            driver.Requests.Select(request => request.Command));
        Assert.Equal(UblkFeatures.None, control.Features);
    }

    [Fact]
    public void A_refusal_in_bare_numbers_decides_nothing()
    {
        int answer = -Libc.ENODEV;
        FakeDriver driver = new FakeDriver { Features = null, EncodedError = Libc.ENODEV }.Answer(UblkAbi.CmdGetDevInfo, _ => answer);
        using ControlDevice control = driver.Open();

        Assert.Equal(-Libc.ENODEV, control.TryGetInfo(Id, out _));
        answer = 0;
        Assert.Equal(0, control.TryGetInfo(Id, out _));
        Assert.Equal(4, driver.Requests.Count);
    }

    [Fact]
    public void A_driver_that_knows_encoded_commands_is_not_asked_twice()
    {
        FakeDriver driver = new FakeDriver().Answer(UblkAbi.CmdGetDevInfo, -Libc.ENODEV);
        using ControlDevice control = driver.Open();

        Assert.Equal(-Libc.ENODEV, control.TryGetInfo(Id, out _));
        Assert.Single(driver.Requests);
        Assert.Equal(driver.Features, control.Features);
    }

    [Fact]
    public void The_channel_is_closed_with_the_device()
    {
        FakeDriver driver = new FakeDriver().Answer(UblkAbi.CmdStopDev, -Libc.ETIMEDOUT);
        using (ControlDevice control = driver.Open())
        {
            Assert.Equal(1, driver.OpenChannels);
            Assert.Throws<UblkException>(() => control.Stop(Id, Limit));
        }

        Assert.Equal(0, driver.OpenChannels);
    }

    // Returns the commands in the order in which they went out.
    private static IReadOnlyList<uint> SendAll(ControlDevice control)
    {
        foreach (Action<ControlDevice> send in Thrown.Select(command => command.Send))
        {
            send(control);
        }

        foreach (Func<ControlDevice, int> send in Returned.Select(command => command.Send))
        {
            Assert.Equal(0, send(control));
        }

        return [.. Thrown.Select(command => command.Command), .. Returned.Select(command => command.Command)];
    }

    private static int Add(ControlDevice control)
    {
        UblkDeviceInfo info = new() { DeviceId = Id };
        return control.TryAdd(ref info);
    }
}

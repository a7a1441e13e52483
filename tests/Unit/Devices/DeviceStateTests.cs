using Ublk.Control;
using Ublk.Devices;
using Ublk.Specification;

namespace Ublk.Tests.Devices;

/// <summary>The state that users see, from the driver's and the record.</summary>
public sealed class DeviceStateTests
{
    [Theory]
    [InlineData(DriverState.Live, false, DeviceState.Live)]
    [InlineData(DriverState.Live, true, DeviceState.Live)]
    [InlineData(DriverState.Live, null, DeviceState.Live)]
    [InlineData(DriverState.Dead, true, DeviceState.Stopped)]
    [InlineData(DriverState.Dead, false, DeviceState.Crashed)]
    [InlineData(DriverState.Dead, null, DeviceState.Unserved)]
    [InlineData(DriverState.Quiesced, true, DeviceState.Suspended)]
    [InlineData(DriverState.Quiesced, false, DeviceState.Crashed)]
    [InlineData(DriverState.Quiesced, null, DeviceState.Unserved)]
    [InlineData(DriverState.FailIo, false, DeviceState.Crashed)]
    internal void A_state_says_whether_a_command_ended_the_worker(DriverState driver, bool? endedByCommand, DeviceState state) =>
        Assert.Equal(state, DeviceStates.Of(driver, endedByCommand is { } ended ? Record(ended) : null));

    private static DeviceRecord Record(bool endedByCommand) => new()
    {
        Specification = new DeviceSpecification { Target = "Null" },
        ProcessId = 1,
        StartTime = DateTime.UnixEpoch,
        EndedByCommand = endedByCommand,
    };
}

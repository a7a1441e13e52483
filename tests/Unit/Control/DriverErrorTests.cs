using Ublk.Control;
using Ublk.Interop;

namespace Ublk.Tests.Control;

/// <summary>A refusal of the driver tells the user what to do.</summary>
public class DriverErrorTests
{
    [Theory]
    [InlineData(Libc.EEXIST, UblkError.DeviceIdInUse, "-Id")]
    [InlineData(Libc.EACCES, UblkError.DeviceLimitReached, "/sys/module/ublk_drv/parameters/ublks_max")]
    [InlineData(Libc.EPERM, UblkError.PermissionDenied, "root")]
    [InlineData(Libc.ETIMEDOUT, UblkError.TimedOut, "dmesg")]
    [InlineData(Libc.EINVAL, UblkError.OperationFailed, "ADD_DEV")]
    public void An_add_that_fails_says_what_to_do(int errno, UblkError error, string hint)
    {
        UblkException exception = DriverError.ForAdd(errno, 7);

        Assert.Equal(error, exception.Error);
        Assert.Equal(errno, exception.Errno);
        Assert.Contains(hint, exception.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(Libc.ENODEV, UblkError.DeviceNotFound)]
    [InlineData(Libc.EPERM, UblkError.PermissionDenied)]
    [InlineData(Libc.EACCES, UblkError.PermissionDenied)]
    [InlineData(Libc.ETIMEDOUT, UblkError.TimedOut)]
    [InlineData(Libc.EBUSY, UblkError.OperationFailed)]
    public void A_command_that_fails_names_the_device(int errno, UblkError error)
    {
        UblkException exception = DriverError.ForCommand(errno, "SET_PARAMS", 7);

        Assert.Equal(error, exception.Error);
        Assert.Contains("device 7", exception.Message, StringComparison.Ordinal);
    }
}

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
    [InlineData(true, "/dev/ublk-control is missing")]
    [InlineData(false, "modprobe ublk_drv")]
    public void A_container_without_the_control_node_is_not_asked_to_load_the_driver(bool isLoaded, string hint)
    {
        UblkException exception = DriverError.ForOpen(Libc.ENOENT, isLoaded);

        Assert.Equal(UblkError.DriverMissing, exception.Error);
        Assert.Contains(hint, exception.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(Libc.ENOENT, UblkError.OperationFailed, "bind-mount the host's /dev")]
    [InlineData(Libc.EPERM, UblkError.PermissionDenied, "device numbers")]
    [InlineData(Libc.EIO, UblkError.OperationFailed, "Cannot open /dev/ublkc7")]
    public void A_node_that_a_container_lacks_is_named(int errno, UblkError error, string hint)
    {
        UblkException exception = DriverError.ForNode(errno, "/dev/ublkc7", 7);

        Assert.Equal((error, errno), (exception.Error, exception.Errno));
        Assert.Contains("/dev/ublkc7", exception.Message, StringComparison.Ordinal);
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

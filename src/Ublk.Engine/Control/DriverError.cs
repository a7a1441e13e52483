using Ublk.Interop;

namespace Ublk.Control;

/// <summary>The driver's refusals, put so that the user knows what to do.</summary>
internal static class DriverError
{
    private const string ModuleParameters = "/sys/module/ublk_drv";

    /// <summary>Why the control node did not open.</summary>
    /// <param name="errno">The result of the open.</param>
    /// <param name="isLoaded">Whether sysfs shows the driver: then a container's /dev lacks the node.</param>
    public static UblkException ForOpen(int errno, bool isLoaded) => errno switch
    {
        Libc.ENOENT when isLoaded => new UblkException(UblkError.DriverMissing,
            $"The ublk driver is loaded, but {ControlDevice.Path} is missing. In a container, bind-mount the host's /dev.", errno, "open"),
        Libc.ENOENT or Libc.ENODEV => new UblkException(UblkError.DriverMissing,
            IsDriverInstalled()
                ? "The ublk driver is not loaded. Load it: modprobe ublk_drv"
                : "This kernel has no ublk driver. Use a kernel of 6.1 or newer that is built with CONFIG_BLK_DEV_UBLK, "
                    + "install its extra modules where the distribution packs the driver there, then: modprobe ublk_drv",
            errno, "open"),
        Libc.EPERM or Libc.EACCES => new UblkException(UblkError.PermissionDenied,
            $"You may not use {ControlDevice.Path}. Run as root, or ask root to run Install-UblkUdevRule, with which ordinary users "
                + "make devices of their own (-Unprivileged).", errno, "open"),
        _ => UblkException.FromErrno(errno, "open", $"Cannot open {ControlDevice.Path}"),
    };

    /// <summary>Why the node of a device that the driver has added did not open.</summary>
    public static UblkException ForNode(int errno, string path, int id) => errno switch
    {
        Libc.ENOENT => new UblkException(UblkError.OperationFailed,
            $"The driver has added device {id}, but there is no {path}. In a container, bind-mount the host's /dev.", errno, "open", id),
        Libc.EPERM => new UblkException(UblkError.PermissionDenied,
            $"You may not open {path}. In a container, allow access to the device numbers of ublk-char and ublk block devices.",
            errno, "open", id),
        _ => UblkException.FromErrno(errno, "open", $"Cannot open {path}", id),
    };

    /// <summary>Why a command failed.</summary>
    public static UblkException ForCommand(int errno, string operation, int id) => errno switch
    {
        Libc.EPERM or Libc.EACCES => new UblkException(UblkError.PermissionDenied,
            $"The driver refuses you {operation} for device {id}. Only root may do that, and the owner of an unprivileged device.",
            errno, operation, id),
        Libc.ENODEV => new UblkException(UblkError.DeviceNotFound, $"There is no ublk device {id}.", errno, operation, id),
        Libc.ETIMEDOUT => new UblkException(UblkError.TimedOut,
            $"{operation} of device {id} did not end in time. Look for ublk in the kernel's log (dmesg).", errno, operation, id),
        _ => new UblkException(UblkError.OperationFailed,
            $"{operation} of device {id} failed: {Libc.Describe(errno)}.", errno, operation, id),
    };

    /// <summary>Why a device could not be added.</summary>
    public static UblkException ForAdd(int errno, int id) => errno switch
    {
        Libc.EEXIST => new UblkException(UblkError.DeviceIdInUse,
            $"Device id {id} is in use. Choose another -Id, or none for the lowest free one.", errno, "ADD_DEV", id),
        Libc.EPERM => new UblkException(UblkError.PermissionDenied,
            "Only root with CAP_SYS_ADMIN may make such a device. Run as root, or use -Unprivileged to make one of your own.",
            errno, "ADD_DEV", id),
        Libc.EACCES => new UblkException(UblkError.DeviceLimitReached,
            "The driver's limit of unprivileged devices, those of all users together, is reached. Remove some, or ask root to raise it: "
                + $"{ModuleParameters}/parameters/ublks_max",
            errno, "ADD_DEV", id),
        Libc.ETIMEDOUT => new UblkException(UblkError.TimedOut,
            "The driver did not add the device in time. Kernels 6.18.4, 6.18.5 and some 6.17 are known to hang here: "
                + "look for ublk in the kernel's log (dmesg) and use another kernel.",
            errno, "ADD_DEV", id),
        _ => ForCommand(errno, "ADD_DEV", id),
    };

    // A driver built into the kernel has no module file but would also have its node, so only the module matters here.
    private static bool IsDriverInstalled()
    {
        try
        {
            string modules = $"/lib/modules/{File.ReadAllText("/proc/sys/kernel/osrelease").Trim()}/modules.dep";
            return File.ReadLines(modules).Any(line => line.Contains("/ublk_drv.ko", StringComparison.Ordinal));
        }
        catch (IOException)
        {
            return false;
        }
        catch (UnauthorizedAccessException)
        {
            return false;
        }
    }
}

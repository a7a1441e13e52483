using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Ublk.Interop;

namespace Ublk.Rings;

/// <summary>io_uring_setup with the best flags this kernel takes.</summary>
internal readonly struct RingSetup
{
    /// <summary>What a queue's ring wants; the flags that newer kernels brought come first in <see cref="FallbackOrder"/>.</summary>
    public const uint QueueFlags = IoUring.SetupNoSqArray | IoUring.SetupDeferTaskRun | IoUring.SetupSingleIssuer
        | IoUring.SetupCoopTaskRun | IoUring.SetupSubmitAll | IoUring.SetupCqSize;

    /// <summary>What the control ring wants: entries with room for the 32 bytes of a control command.</summary>
    public const uint ControlFlags = IoUring.SetupSqe128 | IoUring.SetupNoSqArray | IoUring.SetupSubmitAll | IoUring.SetupCqSize;

    private const string DisabledSetting = "/proc/sys/kernel/io_uring_disabled";

    // Newest first; DEFER_TASKRUN is illegal without SINGLE_ISSUER and so must go before it.
    private static ReadOnlySpan<uint> FallbackOrder =>
    [
        IoUring.SetupNoSqArray, IoUring.SetupDeferTaskRun, IoUring.SetupSingleIssuer, IoUring.SetupCoopTaskRun,
        IoUring.SetupSubmitAll,
    ];

    private RingSetup(SafeFileHandle handle, IoUringParams parameters)
    {
        Handle = handle;
        Parameters = parameters;
    }

    /// <summary>The ring's file.</summary>
    public SafeFileHandle Handle { get; }

    /// <summary>What the kernel answered.</summary>
    public IoUringParams Parameters { get; }

    /// <summary>Makes a ring, dropping the wanted flags one by one until the kernel takes the rest.</summary>
    /// <exception cref="UblkException">The kernel has no io_uring, forbids it, or lacks a flag that is indispensable.</exception>
    public static RingSetup Create(uint entries, uint completions, uint flags)
    {
        if (!Libc.IsKnown(RuntimeInformation.ProcessArchitecture))
        {
            throw new UblkException(UblkError.NotSupported,
                $"This machine's architecture is {RuntimeInformation.ProcessArchitecture}. Ublk works on x64 and arm64.",
                    operation: "io_uring_setup");
        }

        int errno = TryCreate(entries, completions, flags, out RingSetup setup);
        foreach (uint flag in FallbackOrder)
        {
            if (errno != Libc.EINVAL)
            {
                break;
            }

            flags &= ~flag;
            errno = TryCreate(entries, completions, flags, out setup);
        }

        return errno switch
        {
            0 => setup,
            Libc.EPERM =>
                throw Forbidden(File.Exists(DisabledSetting) ? File.ReadAllText(DisabledSetting) : "", Libc.GetEffectiveUserId() == 0),
            Libc.ENOSYS => throw new UblkException(UblkError.NotSupported,
                "This kernel has no io_uring.", errno, "io_uring_setup"),
            _ => throw UblkException.FromErrno(errno, "io_uring_setup", "Cannot set up an io_uring"),
        };
    }

    /// <summary>Why the kernel refuses a ring with EPERM.</summary>
    /// <param name="setting">
    /// The value of io_uring_disabled: 0 allows all users, 1 root and the members of a group, 2 none (kernel 6.6).
    /// </param>
    /// <param name="isRoot">Whether the caller is root.</param>
    internal static UblkException Forbidden(string setting, bool isRoot) => new(UblkError.PermissionDenied,
        setting.Trim() switch
        {
            "1" when !isRoot =>
                "io_uring is allowed here only to root and to the group of kernel.io_uring_group. Run as root, or ask root to allow it to "
                    + "everybody: sysctl kernel.io_uring_disabled=0",
            "2" => "io_uring is disabled here. Enable it: sysctl kernel.io_uring_disabled=0",
            _ => "io_uring is blocked here, by a seccomp filter or a security module: a container's, or the service's. Allow the "
                + "system calls "
                + "io_uring_setup, io_uring_enter and io_uring_register there.",
        },
        Libc.EPERM, "io_uring_setup");

    private static unsafe int TryCreate(uint entries, uint completions, uint flags, out RingSetup setup)
    {
        IoUringParams parameters = new() { Flags = flags, CqEntries = completions };
        int fd = Libc.IoUringSetup(entries, &parameters);
        if (fd < 0)
        {
            setup = default;
            return Libc.LastErrno;
        }

        setup = new RingSetup(new SafeFileHandle(fd, ownsHandle: true), parameters);
        return 0;
    }
}

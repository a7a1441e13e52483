using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Ublk.Interop;

internal static partial class Libc
{
    public const int SIGKILL = 9;
    public const int SIGTERM = 15;

    /// <summary>The process serves a disk: its memory allocations must not wait for that disk (linux/prctl.h, kernel 5.6).</summary>
    public const int PR_SET_IO_FLUSHER = 57;

    /// <summary>Whether a capability is in the thread's bounding set; an error beyond the last one (linux/prctl.h).</summary>
    public const int PR_CAPBSET_READ = 23;

    /// <summary>Takes a capability out of the thread's bounding set (linux/prctl.h).</summary>
    public const int PR_CAPBSET_DROP = 24;

    /// <summary>Executing a program never adds to what the thread may do (linux/prctl.h).</summary>
    public const int PR_SET_NO_NEW_PRIVS = 38;

    /// <summary>Two words for each set (linux/capability.h).</summary>
    public const uint LINUX_CAPABILITY_VERSION_3 = 0x20080522;

    /// <summary>Makes the calling process the leader of a new session (setsid(2)).</summary>
    [LibraryImport("libc", EntryPoint = "setsid", SetLastError = true)]
    public static partial int SetSid();

    [LibraryImport("libc", EntryPoint = "dup2", SetLastError = true)]
    public static partial int Dup2(int from, int to);

    /// <summary>Puts a file in the place of another one, close-on-exec with <see cref="O_CLOEXEC"/>; the other one is closed.</summary>
    [LibraryImport("libc", EntryPoint = "dup3", SetLastError = true)]
    public static partial int Dup3(SafeFileHandle from, SafeFileHandle to, int flags);

    /// <summary>There is something to read; of a pidfd: the process has ended (poll.h).</summary>
    public const short POLLIN = 1;

    /// <summary>struct pollfd, 8 bytes.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct PollFile
    {
        public int Fd;
        public short Events;
        public short Returned;
    }

    [LibraryImport("libc", EntryPoint = "poll", SetLastError = true)]
    private static unsafe partial int PollRaw(PollFile* files, nuint count, int milliseconds);

    /// <summary>Waits until there is something to read from a file.</summary>
    /// <returns>False when the time is up.</returns>
    public static unsafe bool PollIn(SafeFileHandle file, int milliseconds)
    {
        PollFile poll = new() { Fd = (int)file.DangerousGetHandle(), Events = POLLIN };
        return PollRaw(&poll, 1, milliseconds) > 0 && (poll.Returned & POLLIN) != 0;
    }

    /// <summary>Returns an errno; the child inherits the calling thread's namespaces and the open streams (posix_spawn(3)).</summary>
    [LibraryImport("libc", EntryPoint = "posix_spawn", StringMarshalling = StringMarshalling.Utf8)]
    public static partial int PosixSpawn(
        out int processId, string file, nint actions, nint attributes, [In] string?[] arguments, [In] string?[] environment);

    /// <summary>Bytes of a posix_spawn_file_actions_t, and more (spawn.h: 80 in glibc and musl).</summary>
    public const int SpawnActionsLength = 256;

    [LibraryImport("libc", EntryPoint = "posix_spawn_file_actions_init")]
    public static unsafe partial int InitSpawnActions(void* actions);

    /// <summary>Has the child get a file of the caller's under a number.</summary>
    [LibraryImport("libc", EntryPoint = "posix_spawn_file_actions_adddup2")]
    public static unsafe partial int AddSpawnDup2(void* actions, int from, int to);

    [LibraryImport("libc", EntryPoint = "posix_spawn_file_actions_destroy")]
    public static unsafe partial int DestroySpawnActions(void* actions);

    [LibraryImport("libc", EntryPoint = "pipe2", SetLastError = true)]
    public static unsafe partial int Pipe(int* ends, int flags);

    /// <summary>A signal for the calling process when the thread that started it ends (linux/prctl.h).</summary>
    public const int PR_SET_PDEATHSIG = 1;

    public const int SIGPIPE = 13;

    /// <summary>What a signal does by default, SIG_DFL (signal.h).</summary>
    public const nint DefaultAction = 0;

    [LibraryImport("libc", EntryPoint = "signal", SetLastError = true)]
    public static partial nint SetSignal(int signal, nint action);

    /// <summary>Becomes another program; returns only where that fails.</summary>
    [LibraryImport("libc", EntryPoint = "execve", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int Execute(string file, [In] string?[] arguments, [In] string?[] environment);

    [LibraryImport("libc", EntryPoint = "syscall", SetLastError = true)]
    private static partial nint SystemCall(nint number, nint first, nint second);

    // The same number on all machines but Alpha (asm-generic/unistd.h).
    private const nint PidFdOpen = 434;

    /// <summary>A file that stands for a process (pidfd_open(2), kernel 5.3); invalid where there is none.</summary>
    public static SafeFileHandle OpenProcess(int processId) => new(SystemCall(PidFdOpen, processId, 0), ownsHandle: true);

    [LibraryImport("libc", EntryPoint = "waitpid", SetLastError = true)]
    private static unsafe partial int WaitPidRaw(int processId, int* status, int options);

    /// <summary>Waits for a child to end.</summary>
    /// <returns>The signal that killed it, or 0; and its exit code (wait(2): the low seven bits, and the next byte).</returns>
    public static unsafe (int Signal, int ExitCode) WaitPid(int processId)
    {
        int status = 0;
        while (WaitPidRaw(processId, &status, 0) < 0 && LastErrno == EINTR)
        {
        }

        return (status & 0x7F, (status >> 8) & 0xFF);
    }

    [LibraryImport("libc", EntryPoint = "getppid")]
    public static partial int GetParentProcessId();

    [LibraryImport("libc", EntryPoint = "prctl", SetLastError = true)]
    public static partial int PrCtl(int option, nuint arg2, nuint arg3, nuint arg4, nuint arg5);

    [LibraryImport("libc", EntryPoint = "capget", SetLastError = true)]
    public static unsafe partial int CapGet(CapabilityHeader* header, CapabilitySets* sets);

    [LibraryImport("libc", EntryPoint = "capset", SetLastError = true)]
    public static unsafe partial int CapSet(CapabilityHeader* header, CapabilitySets* sets);

    /// <summary>Whose capabilities are meant: 0 is the calling thread (linux/capability.h).</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct CapabilityHeader
    {
        public uint Version;
        public int ThreadId;
    }

    /// <summary>32 capabilities, a bit for each (linux/capability.h).</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct CapabilitySets
    {
        public uint Effective;
        public uint Permitted;
        public uint Inheritable;
    }

    [LibraryImport("libc", EntryPoint = "gettid")]
    public static partial int GetThreadId();

    [LibraryImport("libc", EntryPoint = "geteuid")]
    public static partial uint GetEffectiveUserId();

    [LibraryImport("libc", EntryPoint = "getegid")]
    public static partial uint GetEffectiveGroupId();

    [LibraryImport("libc", EntryPoint = "kill", SetLastError = true)]
    public static partial int Kill(int pid, int signal);

    [LibraryImport("libc", EntryPoint = "sched_setaffinity", SetLastError = true)]
    public static unsafe partial int SchedSetAffinity(int pid, nuint size, byte* mask);

    [LibraryImport("libc", EntryPoint = "sched_getaffinity", SetLastError = true)]
    public static unsafe partial int SchedGetAffinity(int pid, nuint size, byte* mask);

    /// <summary>A mount namespace of one's own (linux/sched.h).</summary>
    public const int CLONE_NEWNS = 0x00020000;

    /// <summary>For a mount and all below it (linux/mount.h).</summary>
    public const nuint MS_REC = 16384;

    /// <summary>What is mounted elsewhere comes here, and nothing goes there (linux/mount.h).</summary>
    public const nuint MS_SLAVE = 1 << 19;

    /// <summary>Unmounts though it is in use (sys/mount.h).</summary>
    public const int MNT_DETACH = 2;

    [LibraryImport("libc", EntryPoint = "unshare", SetLastError = true)]
    public static partial int Unshare(int flags);

    [LibraryImport("libc", EntryPoint = "mount", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int Mount(string? source, string target, string? type, nuint flags, nint data);

    [LibraryImport("libc", EntryPoint = "umount2", SetLastError = true, StringMarshallingCustomType = typeof(RawText.Marshaller))]
    public static partial int Unmount(string target, int flags);
}

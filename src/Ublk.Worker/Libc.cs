using System.Runtime.InteropServices;

namespace Ublk.Worker;

/// <summary>What the worker needs of the C library to stand on its own.</summary>
internal static partial class Libc
{
    public const int O_RDWR = 2;

    [LibraryImport("libc", EntryPoint = "setsid", SetLastError = true)]
    public static partial int SetSid();

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int Open(string path, int flags, int mode);

    [LibraryImport("libc", EntryPoint = "dup2", SetLastError = true)]
    public static partial int Dup2(int from, int to);

    [LibraryImport("libc", EntryPoint = "close", SetLastError = true)]
    public static partial int Close(int fd);

    /// <summary>Returns an errno; the child inherits the calling thread's namespaces and the open streams.</summary>
    [LibraryImport("libc", EntryPoint = "posix_spawn", StringMarshalling = StringMarshalling.Utf8)]
    public static partial int PosixSpawn(
        out int processId, string file, nint actions, nint attributes, [In] string?[] arguments, [In] string?[] environment);

    [LibraryImport("libc", EntryPoint = "waitpid", SetLastError = true)]
    public static unsafe partial int WaitPid(int processId, int* status, int options);

    [LibraryImport("libc", EntryPoint = "getppid")]
    public static partial int GetParentProcessId();
}

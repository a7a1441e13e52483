using System.Runtime.InteropServices;

namespace Ublk.Interop;

internal static partial class Libc
{
    /// <summary>Bytes of a semaphore, or more (sem_t).</summary>
    public const int SemaphoreSize = 64;

    /// <summary>The address of sem_post(3), for libraries that call a function with one argument.</summary>
    public static nint SemPostAddress => NativeLibrary.GetExport(NativeLibrary.GetMainProgramHandle(), "sem_post");

    [LibraryImport("libc", EntryPoint = "sem_init", SetLastError = true)]
    public static partial int SemInit(nint semaphore, int isShared, uint value);

    [LibraryImport("libc", EntryPoint = "sem_post", SetLastError = true)]
    public static partial int SemPost(nint semaphore);

    /// <summary>Waits until it is positive, and subtracts one; EINTR for a signal.</summary>
    [LibraryImport("libc", EntryPoint = "sem_wait", SetLastError = true)]
    public static partial int SemWait(nint semaphore);

    [LibraryImport("libc", EntryPoint = "sem_destroy", SetLastError = true)]
    public static partial int SemDestroy(nint semaphore);
}

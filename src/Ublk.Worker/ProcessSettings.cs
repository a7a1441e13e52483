using Ublk.Interop;

namespace Ublk.Worker;

/// <summary>What the kernel should know of a process on which a disk depends. Without the right to say so it serves all the same.</summary>
internal static class ProcessSettings
{
    /// <summary>Applies to the calling thread and every thread made after.</summary>
    public static void Apply()
    {
        // Memory allocated for serving the disk must not wait for that disk.
        _ = Libc.PrCtl(Libc.PR_SET_IO_FLUSHER, 1, 0, 0, 0);

        // Nor must what the process needs be swapped to that disk. Only what is touched is locked: the heap reserves far more.
        _ = Libc.MLockAll(Libc.MCL_CURRENT | Libc.MCL_FUTURE | Libc.MCL_ONFAULT);
        try
        {
            // The last process to be killed when memory runs out: it could not be freed without its disk.
            File.WriteAllText("/proc/self/oom_score_adj", "-1000");
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
        }
    }
}

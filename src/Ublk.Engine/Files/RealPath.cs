using Microsoft.Win32.SafeHandles;
using Ublk.Interop;

namespace Ublk.Files;

/// <summary>The path of what is there, without symbolic links, "." and "..".</summary>
internal static class RealPath
{
    /// <summary>The real path of what a path leads to; null where there is nothing.</summary>
    public static string? Of(string path)
    {
        using SafeFileHandle file = Libc.Open(path, Libc.O_PATH);
        return file.IsInvalid ? null : Of(file);
    }

    /// <summary>What an open file is called (proc(5)).</summary>
    public static string Of(SafeFileHandle file) =>
        File.ResolveLinkTarget($"/proc/self/fd/{file.DangerousGetHandle()}", returnFinalTarget: false)!.FullName;
}

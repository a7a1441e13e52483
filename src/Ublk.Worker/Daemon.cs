using Microsoft.Win32.SafeHandles;
using Ublk.Interop;

namespace Ublk.Worker;

/// <summary>Lets the worker outlive the shell, the terminal and the session that asked for it.</summary>
internal static class Daemon
{
    /// <summary>Makes the calling process a session of its own, without a terminal.</summary>
    public static void LeaveSession()
    {
        _ = Libc.SetSid();
        Environment.CurrentDirectory = "/";
    }

    /// <summary>Lets go of whatever the standard streams were.</summary>
    public static void CloseStandardStreams()
    {
        using SafeFileHandle nothing = Libc.Open("/dev/null", Libc.O_RDWR);
        for (int stream = 0; stream <= 2; stream++)
        {
            _ = Libc.Dup2((int)nothing.DangerousGetHandle(), stream);
        }
    }
}

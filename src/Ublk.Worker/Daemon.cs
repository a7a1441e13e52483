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
        int nothing = Libc.Open("/dev/null", Libc.O_RDWR, 0);
        for (int stream = 0; stream <= 2; stream++)
        {
            _ = Libc.Dup2(nothing, stream);
        }

        _ = Libc.Close(nothing);
    }
}

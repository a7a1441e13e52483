using System.Diagnostics;

namespace Ublk.Worker;

/// <summary>Where no service manager runs: lets the worker outlive the shell, the terminal and the session that asked for it.</summary>
internal static class Detachment
{
    /// <summary>Starts this program again to serve, as a child of nobody, in a mount namespace of its own.</summary>
    /// <returns>Its process id.</returns>
    public static int StartDetached(string[] arguments)
    {
        MountNamespace.Leave();
        using Process child = Process.Start(new ProcessStartInfo(Self.File, Self.Arguments("serve", arguments))
        {
            WorkingDirectory = "/",

            // The launcher reads this process's streams to their end, which must not be the end of the device.
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        return child.Id;
    }

    /// <summary>Makes the calling process a session of its own without a terminal.</summary>
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

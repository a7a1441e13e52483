using System.Text;

namespace Ublk.Worker;

/// <summary>Where no service manager runs: lets the worker outlive the shell, the terminal and the session that asked for it.</summary>
internal static class Detachment
{
    private const int StandardOutput = 1;

    /// <summary>Starts this program again, as a child of nobody, in a mount namespace of its own; prints its process id.</summary>
    public static unsafe void StartDetached(string[] arguments)
    {
        Environment.CurrentDirectory = "/";
        MountNamespace.Leave();

        // The launcher reads this process's streams to their end, which must not be the end of the device.
        int launcher = Libc.Fcntl(StandardOutput, Libc.F_DUPFD_CLOEXEC, 0);
        CloseStandardStreams();
        byte[] answer = Encoding.ASCII.GetBytes($"{Self.Start(arguments)}\n");
        fixed (byte* bytes = answer)
        {
            _ = Libc.Write(launcher, bytes, answer.Length);
        }
    }

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

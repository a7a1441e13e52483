using System.Diagnostics;
using System.Runtime.ExceptionServices;
using Ublk.Interop;

namespace Ublk.Workers;

/// <summary>
/// What a worker may do: what serving a disk takes, and nothing else of what root may. No program that it starts gets more.
/// </summary>
/// <remarks>
/// Capabilities and no_new_privs are a thread's, and the runtime has threads before a program's first line. So not the worker gives them
/// up, but the thread that starts it, or the service manager: then no thread of the worker ever had them.
/// </remarks>
internal static class WorkerPrivileges
{
    // With their numbers (linux/capability.h). What each is for stands in docs/security.md.
    private static readonly (string Name, int Number)[] s_kept =
    [
        ("CAP_DAC_OVERRIDE", 1),
        ("CAP_IPC_LOCK", 14),
        ("CAP_SYS_ADMIN", 21),
        ("CAP_SYS_RESOURCE", 24),
    ];

    // The same of a program that replaces files, and gives the new one the owner, permissions and labels of the old one.
    private static readonly int[] s_replacing = [0 /* CAP_CHOWN */, 3 /* CAP_FOWNER */];

    /// <summary>The same for a unit of root's (systemd.exec(5)).</summary>
    public static IReadOnlyList<string> UnitSettings { get; } =
    [
        NoNewPrivileges,
        $"CapabilityBoundingSet={string.Join(' ', s_kept.Select(capability => capability.Name))}",
    ];

    /// <summary>The part of it that a unit of an ordinary user can have. It takes root to give up what no program may get.</summary>
    public static string NoNewPrivileges => "NoNewPrivileges=yes";

    /// <summary>Starts a program that may do no more than a worker.</summary>
    /// <param name="start">The program.</param>
    /// <param name="prepare">Done before, on the thread whose namespaces the program gets.</param>
    /// <param name="replacesFiles">Whether it gives files of root's to other users.</param>
    /// <exception cref="System.ComponentModel.Win32Exception">It cannot be started.</exception>
    public static Process Start(ProcessStartInfo start, Action? prepare = null, bool replacesFiles = false)
    {
        Process? process = null;
        ExceptionDispatchInfo? failure = null;

        // A child gets what the thread has that starts it; this one does nothing else, and ends.
        Thread thread = new(() =>
        {
            try
            {
                prepare?.Invoke();
                LimitThread([.. s_kept.Select(capability => capability.Number), .. replacesFiles ? s_replacing : []]);
                process = Process.Start(start);
            }
            catch (Exception exception)
            {
                failure = ExceptionDispatchInfo.Capture(exception);
            }
        });
        thread.Start();
        thread.Join();
        failure?.Throw();
        return process!;
    }

    private static unsafe void LimitThread(int[] numbers)
    {
        // A program executed by root gets these whatever the thread has. Dropping them takes CAP_SETPCAP.
        for (int number = 0; Libc.PrCtl(Libc.PR_CAPBSET_READ, (nuint)number, 0, 0, 0) >= 0; number++)
        {
            if (!numbers.Contains(number))
            {
                _ = Libc.PrCtl(Libc.PR_CAPBSET_DROP, (nuint)number, 0, 0, 0);
            }
        }

        uint kept = numbers.Aggregate(0U, (mask, number) => mask | (1U << number));
        Libc.CapabilityHeader header = new() { Version = Libc.LINUX_CAPABILITY_VERSION_3 };
        Libc.CapabilitySets* sets = stackalloc Libc.CapabilitySets[2];
        if (Libc.CapGet(&header, sets) == 0)
        {
            sets[0] = new() { Effective = sets[0].Effective & kept, Permitted = sets[0].Permitted & kept,
                Inheritable = sets[0].Inheritable & kept };
            sets[1] = default;
            _ = Libc.CapSet(&header, sets);
        }

        // From here on executing a program adds nothing, so that even where the bounding set stays it gets no more than the thread has.
        _ = Libc.PrCtl(Libc.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    }
}

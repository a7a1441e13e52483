using System.Globalization;

namespace Ublk.Processes;

/// <summary>Whether processes live, and since when.</summary>
internal static class ProcessStatus
{
    /// <summary>Whether a process exists and is no zombie.</summary>
    public static bool IsAlive(int processId) => StatusOf(processId) is [not ("Z" or "X"), ..];

    /// <summary>
    /// When a process started, in ticks since the machine did; together with the id it identifies the process. 0 where there is none.
    /// </summary>
    public static long StartTicksOf(int processId) =>
        StatusOf(processId) is { Length: > 19 } fields ? long.Parse(fields[19], CultureInfo.InvariantCulture) : 0;

    // The fields from the state on: it follows the name, which is in parentheses and may hold anything (proc(5)).
    private static string[] StatusOf(int processId)
    {
        try
        {
            string status = File.ReadAllText($"/proc/{processId}/stat");
            return status[(status.LastIndexOf(')') + 2)..].Split(' ');
        }
        catch (IOException)
        {
            return [];
        }
    }

    /// <summary>Waits until a process has ended.</summary>
    /// <returns>False when the time is up.</returns>
    public static bool AwaitDeath(int processId, TimeSpan timeout) => new Deadline(timeout).Wait(() => !IsAlive(processId));
}

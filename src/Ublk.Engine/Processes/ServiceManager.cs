namespace Ublk.Processes;

/// <summary>systemd, where it runs.</summary>
internal static class ServiceManager
{
    /// <summary>Whether systemd runs (sd_booted(3)).</summary>
    public static bool IsRunning => Directory.Exists("/run/systemd/system");

    /// <summary>Has systemctl do something.</summary>
    /// <exception cref="UblkException">It could not.</exception>
    public static void Control(params string[] arguments)
    {
        if (!TryControl(out string error, arguments))
        {
            throw new UblkException(UblkError.OperationFailed, $"systemctl {string.Join(' ', arguments)} failed: {error}",
                operation: "systemctl");
        }
    }

    /// <summary>Has systemctl do or answer something.</summary>
    /// <returns>Whether it did, or answered yes.</returns>
    public static bool TryControl(out string error, params string[] arguments) =>
        ExternalProgram.TryRun("systemctl", arguments, out error);
}

namespace Ublk.Worker;

/// <summary>Why the worker ended (sysexits.h).</summary>
internal static class ExitCode
{
    /// <summary>The device was stopped and everything is undone.</summary>
    public const int Done = 0;

    /// <summary>The arguments make no sense.</summary>
    public const int Usage = 64;

    /// <summary>The device could not be made, or could not be removed.</summary>
    public const int Unavailable = 69;

    /// <summary>A queue could not go on, and the device with it; or what was written last could not be written back.</summary>
    public const int Software = 70;
}

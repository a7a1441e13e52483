using System.CommandLine;
using Ublk.Launching;

namespace Ublk.CommandLine;

/// <summary>What a command prints of a device that it has started.</summary>
internal static class LaunchOutput
{
    /// <summary>Prints warnings and the device.</summary>
    public static void Write(ParseResult result, LaunchResult launched, bool asJson)
    {
        WriteWarnings(result, launched);
        if (asJson)
        {
            DeviceJson.Write(result.InvocationConfiguration.Output, launched.Device);
        }
        else
        {
            DeviceText.Write(result.InvocationConfiguration.Output, launched.Device);
        }
    }

    /// <summary>Prints warnings.</summary>
    public static void WriteWarnings(ParseResult result, LaunchResult launched)
    {
        foreach (string warning in launched.Warnings)
        {
            result.InvocationConfiguration.Error.WriteLine($"ublk: warning: {warning}");
        }
    }
}

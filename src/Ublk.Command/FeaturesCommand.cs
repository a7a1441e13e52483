using System.CommandLine;
using System.Globalization;
using Ublk.Control;

namespace Ublk.CommandLine;

/// <summary><c>ublk features</c>: what the driver can do.</summary>
internal static class FeaturesCommand
{
    /// <summary>The command.</summary>
    public static Command Create()
    {
        Command command = new("features", "Shows the features of the driver.");
        command.SetAction(result =>
        {
            UblkFeatures features = UblkFeatures.None;
            foreach (UblkFeature feature in FeatureCatalog.List().Where(feature => feature.Supported))
            {
                features |= (UblkFeatures)(1UL << feature.Bit);
            }

            Write(result.InvocationConfiguration.Output, features);
            return ExitCode.Done;
        });
        return command;
    }

    /// <summary>Prints features.</summary>
    internal static void Write(TextWriter output, UblkFeatures features)
    {
        output.WriteLine($"ublk_drv features: 0x{(ulong)features:x}");
        foreach (UblkFeatures feature in FeatureName.In(features))
        {
            output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"\t{FeatureName.OfDriver(feature),-20}: 0x{(ulong)feature:x}"));
        }
    }
}

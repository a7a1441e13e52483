using System.Numerics;
using System.Text.Json;
using Ublk.Control;

namespace Ublk.CommandLine;

/// <summary>Features of the driver under the names that the reference server prints.</summary>
internal static class FeatureName
{
    /// <summary>As <c>ublk features</c> prints it.</summary>
    public static string OfDriver(UblkFeatures feature) => feature switch
    {
        UblkFeatures.SupportZeroCopy => "ZERO_COPY",
        UblkFeatures.UringCmdCompInTask => "COMP_IN_TASK",
        UblkFeatures.NeedGetData => "GET_DATA",
        UblkFeatures.UserRecovery => "USER_RECOVERY",
        _ => OfDevice(feature),
    };

    /// <summary>As <c>ublk list</c> prints it.</summary>
    public static string OfDevice(UblkFeatures feature) => feature switch
    {
        UblkFeatures.AutoBufReg => "AUTO_ZC",
        UblkFeatures.UserRecovery => "RECOVERY",
        UblkFeatures.UserRecoveryReissue => "RECOVERY_REISSUE",
        UblkFeatures.UserRecoveryFailIo => "RECOVERY_FAIL_IO",
        _ => Enum.IsDefined(feature) ? JsonNamingPolicy.SnakeCaseUpper.ConvertName($"{feature}") : "unknown",
    };

    /// <summary>The features of a set, in the order of their bits.</summary>
    public static IEnumerable<UblkFeatures> In(UblkFeatures set)
    {
        for (ulong left = (ulong)set; left != 0; left &= left - 1)
        {
            yield return (UblkFeatures)(1UL << BitOperations.TrailingZeroCount(left));
        }
    }
}

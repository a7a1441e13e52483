using Ublk.Control;

namespace Ublk.Specification;

/// <summary>What the clients of a disk see while no worker serves it.</summary>
public enum RecoveryMode
{
    /// <summary>Errors: the disk is gone for good.</summary>
    None,

    /// <summary>They wait for the next worker, but requests the dead one held fail (UBLK_F_USER_RECOVERY).</summary>
    Queue,

    /// <summary>
    /// They wait, and requests the dead worker held are given to the next one, so that some may be done twice (..._REISSUE).
    /// </summary>
    Reissue,

    /// <summary>Errors until the next worker serves (..._FAIL_IO, from kernel 6.13).</summary>
    Fail,
}

/// <summary>What the driver calls the modes.</summary>
internal static class RecoveryModes
{
    /// <summary>The driver's flags for a mode.</summary>
    public static UblkFeatures ToFeatures(this RecoveryMode mode) => mode switch
    {
        RecoveryMode.Queue => UblkFeatures.UserRecovery,
        RecoveryMode.Reissue => UblkFeatures.UserRecovery | UblkFeatures.UserRecoveryReissue,
        RecoveryMode.Fail => UblkFeatures.UserRecovery | UblkFeatures.UserRecoveryFailIo,
        _ => UblkFeatures.None,
    };
}

namespace Ublk.Control;

/// <summary>The states that the driver gives a device (ublk_cmd.h: UBLK_S_DEV_*).</summary>
internal enum DriverState : ushort
{
    /// <summary>Without a disk: not started yet, stopped, or its server died.</summary>
    Dead = 0,

    /// <summary>Served.</summary>
    Live = 1,

    /// <summary>Its server is gone; requests wait for a new one.</summary>
    Quiesced = 2,

    /// <summary>Its server is gone; requests fail until a new one comes.</summary>
    FailIo = 3,
}

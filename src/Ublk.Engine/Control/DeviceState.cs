namespace Ublk.Control;

/// <summary>The states the driver gives a device (ublk_cmd.h: UBLK_S_DEV_*).</summary>
public enum DeviceState
{
    /// <summary>Not served: not started yet, stopped, or its server died.</summary>
    Dead = 0,

    /// <summary>Served.</summary>
    Live = 1,

    /// <summary>Its server is gone; requests wait for a new one.</summary>
    Quiesced = 2,

    /// <summary>Its server is gone; requests fail until a new one comes.</summary>
    FailIo = 3,
}

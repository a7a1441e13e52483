namespace Ublk.Logging;

/// <summary>How grave a message is (syslog(3)).</summary>
public enum LogLevel
{
    /// <summary>The device ends.</summary>
    Critical = 2,

    /// <summary>Something was asked for and failed.</summary>
    Error = 3,

    /// <summary>Something unexpected that was dealt with.</summary>
    Warning = 4,

    /// <summary>The normal course of things.</summary>
    Information = 6,
}

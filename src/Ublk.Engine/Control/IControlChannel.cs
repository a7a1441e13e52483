using Ublk.Interop;

namespace Ublk.Control;

/// <summary>How control commands reach the driver, and its answers come back.</summary>
/// <remarks>Usable from one thread at a time.</remarks>
internal unsafe interface IControlChannel : IDisposable
{
    /// <summary>Bytes of <see cref="Buffer"/>: the path of a device's node and the longest payload of a command, a mask of CPUs.</summary>
    const int BufferSize = ControlDevice.PathRoom + CpuSet.MaskBytes;

    /// <summary>Memory for what commands carry and bring back. It outlives a command that was given up.</summary>
    byte* Buffer { get; }

    /// <summary>Sends a command and waits for its answer.</summary>
    /// <param name="command">The command, encoded or as a bare number.</param>
    /// <param name="payload">What goes with it; an address in it is one of <see cref="Buffer"/>.</param>
    /// <param name="timeout">How long to wait; a command that outlasts it is cancelled.</param>
    /// <returns>The driver's answer, or a negative errno: -ETIMEDOUT when the time was up.</returns>
    int Send(uint command, in UblkControlCommand payload, TimeSpan timeout);
}

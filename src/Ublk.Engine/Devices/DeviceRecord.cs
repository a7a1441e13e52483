using Ublk.Serving;

namespace Ublk.Devices;

/// <summary>What a worker leaves in the state directory: enough to show the device, and to serve it again.</summary>
internal sealed record DeviceRecord
{
    /// <summary>What the device was made from; id and cookie are set.</summary>
    public required DeviceSpecification Specification { get; init; }

    /// <summary>The file or device behind the disk, or null.</summary>
    public string? BackingPath { get; init; }

    /// <summary>The worker.</summary>
    public required int ProcessId { get; init; }

    /// <summary>When the worker made the device, in UTC.</summary>
    public required DateTime StartTime { get; init; }

    /// <summary>The process that gives the device a new worker when one dies; 0 where nobody does.</summary>
    public int SupervisorId { get; init; }

    /// <summary>How often the supervisor did.</summary>
    public int Restarts { get; init; }

    /// <summary>How the last worker ended: a signal's name, or an exit code.</summary>
    public string? LastExit { get; init; }

    /// <summary>The queues' threads and CPUs.</summary>
    public IReadOnlyList<QueueInfo> Queues { get; init; } = [];
}

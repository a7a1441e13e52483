using Ublk.Specification;

namespace Ublk.Launching;

/// <summary>What a launcher tells its worker to do.</summary>
internal sealed record LaunchOrder(LaunchKind Kind, DeviceSpecification Specification);

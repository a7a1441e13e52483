using Ublk.Targets.Nbd;

namespace Ublk.Exports.Server;

/// <summary>What a client and the server agreed on in the handshake.</summary>
/// <param name="Headers">The form of headers.</param>
/// <param name="Contexts">What the client asks about with requests for block status, by index.</param>
internal sealed record ClientAgreement(NbdHeaderForm Headers, IReadOnlyList<int> Contexts);

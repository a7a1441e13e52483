using Ublk.Interop;
using Ublk.Io;
using Ublk.Targets;

namespace Ublk.Tests.Qcow2.Crash;

/// <summary>A raw file on a simulated disk.</summary>
internal sealed class SimulatedRawTarget(SimulatedHandle file, long size) : BlockTarget
{
    public override TargetGeometry Geometry { get; } = new() { Size = size, WriteZeroes = true };

    public override async IoTask<int> HandleAsync(IoRequest request) => request.Operation switch
    {
        IoOperation.Read => await file.ReadAsync(request.Buffer, request.Offset),
        IoOperation.Write => await file.WriteAsync(request.Buffer, request.Offset),
        IoOperation.WriteZeroes =>
            await file.AllocateAsync(Libc.FALLOC_FL_PUNCH_HOLE | Libc.FALLOC_FL_KEEP_SIZE, request.Offset, request.Length),
        _ => await file.SyncAsync(),
    };
}

using System.Runtime.CompilerServices;
using Microsoft.Win32.SafeHandles;
using Ublk.Interop;
using Ublk.Io;
using Ublk.Specification;

namespace Ublk.Targets.Nbd;

/// <summary>A disk that is an export of an NBD server.</summary>
internal sealed class NbdTarget : BlockTarget
{
    // A server may refuse a longer one, although the protocol allows 4 GiB.
    private const uint MaxRange = 1 << 30;

    private readonly NbdConnection[] _connections;

    private NbdTarget(NbdConnection[] connections, TargetGeometry geometry, string name)
    {
        _connections = connections;
        BackingPath = name;
        Geometry = geometry;
        Files = [.. connections.Select(connection => connection.Handle)];
    }

    /// <summary>The catalogue's entry.</summary>
    public static TargetDefinition Definition { get; } = new(
        "Nbd",
        "Serves an export of an NBD server, such as nbdkit or qemu-nbd.",
        [
            new TargetOption("Uri", TargetOptionKind.Text,
                "The export: nbd://host:port/export, or nbd+unix:///export?socket=/path for a Unix socket.", IsMandatory: true),
        ],
        Open)
    {
        NeedsNetwork = true,
    };

    /// <inheritdoc/>
    public override TargetGeometry Geometry { get; }

    /// <inheritdoc/>
    public override IReadOnlyList<SafeFileHandle> Files { get; }

    /// <inheritdoc/>
    public override string BackingPath { get; }

    private NbdExport Export => _connections[0].Export;

    /// <summary>Connects to a server: once for each thread that will make use of the disk.</summary>
    /// <exception cref="UblkException">The server cannot be reached, or refuses, or the export cannot back this disk.</exception>
    public static NbdTarget Open(TargetOptions options)
    {
        string name = options.GetText("Uri")!;
        NbdUri uri = NbdUri.Parse(name);
        List<NbdConnection> connections = [];
        try
        {
            Connect(uri, connections, options);
            NbdExport export = connections[0].Export;
            TargetGeometry geometry = NbdGeometry.Of(export, options, name);
            RequireNoRecovery(geometry, options);
            if (options.QueueThreads > 1 && !export.Has(NbdExportFlags.CanMultiConn))
            {
                throw new UblkException(UblkError.NotSupported,
                    $"{name} does not support several connections (CAN_MULTI_CONN), and each queue thread needs one. Omit QueueCount and "
                        + "ThreadsPerQueue, or configure the server to support several connections.");
            }

            while (connections.Count < options.QueueThreads)
            {
                Connect(uri, connections, options);
                if (connections[^1].Export != export)
                {
                    throw new UblkException(UblkError.ServerRefused, $"{name} changed while it was opened. Try again.");
                }
            }

            return new NbdTarget([.. connections], geometry, name);
        }
        catch
        {
            connections.ForEach(connection => connection.Dispose());
            throw;
        }
    }

    /// <inheritdoc/>
    public override ValueTask<int> HandleAsync(IoRequest request)
    {
        NbdConnection connection = ConnectionOf(request.Queue);
        if (request.Operation is not (IoOperation.Read or IoOperation.Flush) && Geometry.ReadOnly)
        {
            return new ValueTask<int>(-Libc.EROFS);
        }

        NbdCommandFlags flags = FlagsOf(request);
        return request.Operation switch
        {
            IoOperation.Read or IoOperation.Write when request.Length > Geometry.MaxIoSize => new ValueTask<int>(-Libc.EINVAL),
            IoOperation.Read => connection.SubmitAsync(NbdCommandType.Read, flags, request.Offset, (uint)request.Length, request.Buffer),
            IoOperation.Write when !NeedsFlush(request) =>
                connection.SubmitAsync(NbdCommandType.Write, flags, request.Offset, (uint)request.Length, request.Buffer),
            IoOperation.Write => WriteDurablyAsync(connection, request),
            IoOperation.Flush => FlushAsync(connection),
            IoOperation.Discard when Export.Has(NbdExportFlags.SendTrim) =>
                CoverRangeAsync(connection, NbdCommandType.Trim, flags, request),
            IoOperation.WriteZeroes when Export.Has(NbdExportFlags.SendWriteZeroes) =>
                CoverRangeAsync(connection, NbdCommandType.WriteZeroes, flags, request),
            _ => new ValueTask<int>(-Libc.EOPNOTSUPP),
        };
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            Array.ForEach(_connections, connection => connection.Dispose());
        }

        base.Dispose(disposing);
    }

    private static void Connect(NbdUri uri, List<NbdConnection> connections, TargetOptions options)
    {
        NbdSocket socket = NbdSocket.Connect(uri);
        try
        {
            connections.Add(new NbdConnection(socket, NbdHandshake.Run(socket, uri), connections.Count, options.Warn));
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    // What a dead worker sent may still be on its way, and be done after what the next one sends.
    private static void RequireNoRecovery(TargetGeometry geometry, TargetOptions options)
    {
        if (options.Recovery != RecoveryMode.None && !geometry.ReadOnly)
        {
            throw new UblkException(UblkError.NotSupported,
                $"The Nbd target supports -Recovery {options.Recovery} for read-only disks only: the server could execute a write of "
                    + "the dead "
                    + "worker after newer writes. Omit Recovery, or use -ReadOnly.");
        }
    }

    // Few connections: a search is as good as an index.
    private NbdConnection ConnectionOf(IoQueue queue)
    {
        foreach (NbdConnection connection in _connections)
        {
            if (connection.Serves(queue))
            {
                return connection;
            }
        }

        return Bind(queue);
    }

    // Not above: what captures the queue would be allocated for each request.
    private NbdConnection Bind(IoQueue queue) => Array.Find(_connections, connection => connection.TryBind(queue))
        ?? throw new InvalidOperationException("There are more threads than connections to the NBD server.");

    private NbdCommandFlags FlagsOf(IoRequest request)
    {
        bool isWrite = request.Operation is IoOperation.Write or IoOperation.WriteZeroes;
        return (isWrite && request.IsForceUnitAccess && Export.Has(NbdExportFlags.SendFua) ? NbdCommandFlags.ForceUnitAccess : 0)
            | (request.Operation == IoOperation.WriteZeroes && request.MustStayAllocated ? NbdCommandFlags.NoHole : 0);
    }

    private bool NeedsFlush(IoRequest request) => request.IsForceUnitAccess && !Export.Has(NbdExportFlags.SendFua);

    // It covers every write that was answered, on whichever connection: that is what a server promises which allows several.
    private ValueTask<int> FlushAsync(NbdConnection connection) => Export.Has(NbdExportFlags.SendFlush)
        ? connection.SubmitAsync(NbdCommandType.Flush, NbdCommandFlags.None, 0, 0)
        : new ValueTask<int>(0);

    [AsyncMethodBuilder(typeof(IoTaskMethodBuilder<>))]
    private async ValueTask<int> WriteDurablyAsync(NbdConnection connection, IoRequest request)
    {
        int result = await connection.SubmitAsync(
            NbdCommandType.Write, NbdCommandFlags.None, request.Offset, (uint)request.Length, request.Buffer);
        int flushed = result < 0 ? result : await FlushAsync(connection);
        return flushed < 0 ? flushed : result;
    }

    [AsyncMethodBuilder(typeof(IoTaskMethodBuilder<>))]
    private async ValueTask<int> CoverRangeAsync(NbdConnection connection, NbdCommandType type, NbdCommandFlags flags, IoRequest request)
    {
        for (long done = 0; done < request.Length;)
        {
            uint length = (uint)long.Min(request.Length - done, MaxRange);
            int result = await connection.SubmitAsync(type, flags, request.Offset + done, length);
            if (result < 0)
            {
                return result;
            }

            done += length;
        }

        return NeedsFlush(request) && type == NbdCommandType.WriteZeroes ? await FlushAsync(connection) : 0;
    }
}

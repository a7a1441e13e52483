using Microsoft.Win32.SafeHandles;
using Ublk.Counters;
using Ublk.Interop;
using Ublk.Io;
using Ublk.Specification;

namespace Ublk.Targets.Nbd;

/// <summary>A disk that is an export of an NBD server.</summary>
internal sealed class NbdTarget : BlockTarget
{
    // Without extended headers: a server may refuse a longer one, although the protocol allows 4 GiB.
    private const uint MaxRange = 1 << 30;

    // Each is an open file of the worker and of the server, and has buffers of its own.
    private const int MaxConnections = 256;

    private readonly NbdLink _link;

    private NbdTarget(NbdLink link, NbdExport export, TargetGeometry geometry, string name)
    {
        _link = link;
        Export = export;
        BackingPath = name;
        Geometry = geometry;
        Files = [.. link.Connections.Select(connection => connection.Handle)];
    }

    /// <summary>The catalogue's entry.</summary>
    public static TargetDefinition Definition { get; } = new(
        "Nbd",
        "Serves an export of an NBD server, such as nbdkit or qemu-nbd.",
        [
            new TargetOption("Uri", TargetOptionKind.Text,
                "The export: nbd://host:port/export, or nbd+unix:///export?socket=/path for a Unix socket.")
            {
                FindCompletions = NbdExportList.Complete,
            },
            new TargetOption("Command", TargetOptionKind.Command,
                "Instead of -Uri: a server and its arguments, such as 'nbdkit', 'memory', '64M'. It starts and ends with the disk."),
            new TargetOption("TlsCertificates", TargetOptionKind.Path,
                "For TLS, a folder of ca-cert.pem, client-cert.pem and client-key.pem. By default the system's authorities are trusted."),
            new TargetOption("ConnectionCount", TargetOptionKind.Number,
                "The number of connections; by default one for each queue thread. More than one needs a server that supports it."),
            new TargetOption("ReconnectTimeout", TargetOptionKind.Number,
                "How many seconds requests wait for a new connection to the server; 0, the default: they fail at once."),
            new TargetOption("RequestTimeout", TargetOptionKind.Number,
                "After how many seconds without an answer to a request the connection counts as lost; 0, the default, for never."),
        ],
        Open)
    {
        NeedsNetwork = true,
        RecoversWrites = false,
        SizeCounter = NbdLink.SizeCounter,
    };

    /// <inheritdoc/>
    public override TargetGeometry Geometry { get; }

    /// <inheritdoc/>
    public override IReadOnlyList<SafeFileHandle> Files { get; }

    /// <inheritdoc/>
    public override string BackingPath { get; }

    /// <inheritdoc/>
    public override IReadOnlyList<TargetCounter> Counters => _link.Counters;

    // As it was at first: what the disk is like does not change with the connection.
    private NbdExport Export { get; }

    /// <summary>Connects to a server: at least once for each thread that will make use of the disk.</summary>
    /// <exception cref="UblkException">The server cannot be reached, or refuses, or the export cannot back this disk.</exception>
    public static NbdTarget Open(TargetOptions options)
    {
        TimeSpan reconnectTimeout = SecondsOf(options, "ReconnectTimeout");
        TimeSpan requestTimeout = SecondsOf(options, "RequestTimeout");
        int connections = ConnectionCountOf(options);
        NbdEndpoint endpoint = NbdEndpoint.Of(options);
        NbdSession? session = null;
        try
        {
            session = endpoint.Open(connections, NbdSocket.HandshakeTimeout);
            TargetGeometry geometry = NbdGeometry.Of(session.Export, options, endpoint.Name);
            RequireNoRecovery(geometry, options);
            return new NbdTarget(
                new NbdLink(session, endpoint, reconnectTimeout, requestTimeout, options), session.Export, geometry, endpoint.Name);
        }
        catch
        {
            session?.Dispose();
            endpoint.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    /// <remarks>Encryption works on the data.</remarks>
    public override bool ForwardsData => !_link.IsEncrypted;

    /// <inheritdoc/>
    /// <remarks>Data that is not copied takes operations of its own, beside those for its header; other data comes with it.</remarks>
    public override int ZeroCopyThreshold => 64 << 10;

    /// <inheritdoc/>
    public override IoTask<int> HandleAsync(IoRequest request)
    {
        NbdConnection connection = _link.ConnectionOf(request);
        if (request.Operation is not (IoOperation.Read or IoOperation.Flush) && Geometry.ReadOnly)
        {
            return -Libc.EROFS;
        }

        NbdCommandFlags flags = FlagsOf(request);
        return request.Operation switch
        {
            IoOperation.Read or IoOperation.Write when request.Length > Geometry.MaxIoSize => -Libc.EINVAL,
            IoOperation.Read => connection.SubmitAsync(NbdCommandType.Read, flags, request.Offset, (uint)request.Length, request.Buffer),
            IoOperation.Write when !NeedsFlush(request) =>
                connection.SubmitAsync(NbdCommandType.Write, flags, request.Offset, (uint)request.Length, request.Buffer),
            IoOperation.Write => WriteDurablyAsync(connection, request),
            IoOperation.Flush => FlushAsync(connection),
            IoOperation.Discard when Export.Has(NbdExportFlags.SendTrim) =>
                CoverRangeAsync(connection, NbdCommandType.Trim, flags, request),
            IoOperation.WriteZeroes when Export.Has(NbdExportFlags.SendWriteZeroes) =>
                CoverRangeAsync(connection, NbdCommandType.WriteZeroes, flags, request),
            _ => -Libc.EOPNOTSUPP,
        };
    }

    /// <inheritdoc/>
    internal override bool IsBoundToQueues => true;

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _link.Dispose();
        }

        base.Dispose(disposing);
    }

    // Capped so that it cannot overflow the kernel's timers.
    private static TimeSpan SecondsOf(TargetOptions options, string name) =>
        TimeSpan.FromSeconds(long.Min(options.GetNumber(name) ?? 0, int.MaxValue / 1000));

    private static int ConnectionCountOf(TargetOptions options)
    {
        int threads = options.QueueThreads;
        long count = options.GetNumber("ConnectionCount") ?? threads;
        return count >= threads && count <= MaxConnections
            ? (int)count
            : throw new UblkException(UblkError.InvalidArgument,
                $"ConnectionCount is {count}. It must be at most {MaxConnections}, and at least {threads}, the number of queue threads: "
                    + "each needs a connection of its own.");
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

    private NbdCommandFlags FlagsOf(IoRequest request)
    {
        bool isWrite = request.Operation is IoOperation.Write or IoOperation.WriteZeroes;
        return (isWrite && request.IsForceUnitAccess && Export.Has(NbdExportFlags.SendFua) ? NbdCommandFlags.ForceUnitAccess : 0)
            | (request.Operation == IoOperation.WriteZeroes && request.MustStayAllocated ? NbdCommandFlags.NoHole : 0);
    }

    private bool NeedsFlush(IoRequest request) => request.IsForceUnitAccess && !Export.Has(NbdExportFlags.SendFua);

    // One flush, on any connection, covers the writes that were answered on all of them: a server promises this with CAN_MULTI_CONN (NBD
    // protocol, "Transmission flags"), and without that there is one connection. Writes in flight need not be covered.
    private IoTask<int> FlushAsync(NbdConnection connection) => Export.Has(NbdExportFlags.SendFlush)
        ? connection.SubmitAsync(NbdCommandType.Flush, NbdCommandFlags.None, 0, 0)
        : 0;

    private async IoTask<int> WriteDurablyAsync(NbdConnection connection, IoRequest request)
    {
        int result = await connection.SubmitAsync(
            NbdCommandType.Write, NbdCommandFlags.None, request.Offset, (uint)request.Length, request.Buffer);
        int flushed = result < 0 ? result : await FlushAsync(connection);
        return flushed < 0 ? flushed : result;
    }

    private async IoTask<int> CoverRangeAsync(NbdConnection connection, NbdCommandType type, NbdCommandFlags flags, IoRequest request)
    {
        long most = Export.Headers == NbdHeaderForm.Extended ? long.MaxValue : MaxRange;
        for (long done = 0; done < request.Length;)
        {
            long length = long.Min(request.Length - done, most);
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

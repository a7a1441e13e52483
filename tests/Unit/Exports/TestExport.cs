using System.Collections.Concurrent;
using Ublk.Exports;
using Ublk.Exports.Server;
using Ublk.Files;
using Ublk.Targets.Nbd;
using Ublk.Tests.Targets.Nbd;

namespace Ublk.Tests.Exports;

/// <summary>An export that is served in the test's own process.</summary>
internal sealed class TestExport : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("ublk-export-");
    private readonly ExportedDisk _disk;
    private readonly ExportServer _server;
    private readonly ConcurrentQueue<string> _log = [];
    private int _clients;

    public TestExport(
        string path, bool writable = false, ImageFormat? format = null, string? snapshot = null, string? certificates = null,
        TimeSpan? silenceTimeout = null)
        : this(folder => new ExportSpecification
        {
            Name = "disk", Path = path, Format = format, Snapshot = snapshot, Writable = writable, TlsCertificates = certificates,
            SocketPath = $"{folder}/socket",
        }, disk: null, silenceTimeout ?? ExportServer.SilenceTimeout)
    {
    }

    public TestExport(ExportedDisk disk)
        : this(folder => new ExportSpecification { Name = "disk", Path = "/none", SocketPath = $"{folder}/socket" }, disk,
            ExportServer.SilenceTimeout)
    {
    }

    private TestExport(Func<string, ExportSpecification> specify, ExportedDisk? disk, TimeSpan silenceTimeout)
    {
        ExportSpecification specification = specify(_folder.FullName);
        specification.Validate();
        _disk = disk ?? ExportOpening.Open(specification, Warnings, out _);
        SocketPath = specification.SocketPath!;
        Certificates = specification.TlsCertificates;
        _server = new ExportServer(_disk, NbdSocket.ListenForOwner(SocketPath), isTcp: false,
            Certificates is null ? null : NbdServerCertificates.In(Certificates), _log.Enqueue,
            count => Volatile.Write(ref _clients, count), silenceTimeout);
    }

    public string SocketPath { get; }

    public string? Certificates { get; }

    public List<string> Warnings { get; } = [];

    /// <summary>What was said about clients.</summary>
    public IReadOnlyList<string> Log => [.. _log];

    public int Clients => Volatile.Read(ref _clients);

    /// <summary>The URI for other programs.</summary>
    public string Uri => $"nbd+unix:///disk?socket={SocketPath}";

    /// <summary>The export as a disk of the engine's own client.</summary>
    public NbdTarget Open(int threads = 1, bool readOnly = false) => NbdServer.OpenUri(
        Certificates is null ? Uri : $"nbds+unix:///disk?socket={SocketPath}&tls-certificates={Certificates}&tls-hostname=localhost",
        readOnly, threads);

    public void Dispose()
    {
        _server.Dispose();
        _disk.Target.Finish();
        _disk.Dispose();
        _folder.Delete(recursive: true);
    }
}

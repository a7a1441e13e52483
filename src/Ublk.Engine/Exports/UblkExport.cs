using Ublk.Files;

namespace Ublk.Exports;

/// <summary>Whether an export is served.</summary>
public enum ExportState
{
    /// <summary>Its worker serves it.</summary>
    Live,

    /// <summary>Its worker has ended, or was killed.</summary>
    Dead,
}

/// <summary>A disk that is exported over NBD.</summary>
public sealed record UblkExport
{
    /// <summary>Its name, which clients give.</summary>
    public required string Name { get; init; }

    /// <summary>Where clients find it.</summary>
    public required string Uri { get; init; }

    /// <summary>The image or block device.</summary>
    public required string Path { get; init; }

    /// <summary>The format of the image.</summary>
    public required ImageFormat Format { get; init; }

    /// <summary>The internal snapshot that is exported; null for the disk as it is.</summary>
    public string? Snapshot { get; init; }

    /// <summary>Whether it is served.</summary>
    public required ExportState State { get; init; }

    /// <summary>How many clients are connected.</summary>
    public required int Clients { get; init; }

    /// <summary>Size of the disk in bytes.</summary>
    public required long Size { get; init; }

    /// <summary>Whether clients can only read.</summary>
    public required bool ReadOnly { get; init; }

    /// <summary>What clients can ask about ranges of the disk, by the names of the protocol.</summary>
    public required IReadOnlyList<string> MetaContexts { get; init; }

    /// <summary>The Unix socket; null for TCP.</summary>
    public string? SocketPath { get; init; }

    /// <summary>The folder of certificates, with which TLS is required; null for none.</summary>
    public string? TlsCertificates { get; init; }

    /// <summary>The process that serves it; null where none does.</summary>
    public int? ProcessId { get; init; }

    /// <summary>When it began to serve.</summary>
    public required DateTime StartTime { get; init; }

    /// <summary>The URI, so that an export in a string is usable as one.</summary>
    public override string ToString() => Uri;

    /// <summary>An export by its record.</summary>
    internal static UblkExport Of(ExportRecord record)
    {
        bool isServed = record.IsServed;
        return new UblkExport
        {
            Name = record.Specification.Name,
            Uri = record.Specification.Uri,
            Path = record.Specification.Path,
            Format = record.Format,
            Snapshot = record.Specification.Snapshot,
            State = isServed ? ExportState.Live : ExportState.Dead,
            Clients = isServed ? record.Clients : 0,
            Size = record.Size,
            ReadOnly = !record.Specification.Writable,
            MetaContexts = record.Contexts,
            SocketPath = record.Specification.SocketPath,
            TlsCertificates = record.Specification.TlsCertificates,
            ProcessId = isServed ? record.ProcessId : null,
            StartTime = record.StartTime.ToLocalTime(),
        };
    }
}

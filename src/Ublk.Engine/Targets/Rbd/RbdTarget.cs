using Microsoft.Win32.SafeHandles;
using Ublk.Counters;
using Ublk.Interop;
using Ublk.Io;

namespace Ublk.Targets.Rbd;

/// <summary>A disk that is an image in a Ceph cluster.</summary>
internal sealed class RbdTarget : BlockTarget
{
    private const int BlockSize = 512;

    // librbd takes lengths up to 2 GiB.
    private const long MaxRange = 1 << 30;

    // rbd_discard_granularity_bytes: librbd skips smaller discards.
    private const int DiscardGranularity = 64 << 10;

    private const string SizeCounterName = "ImageSize";

    private readonly RbdImage _image;
    private readonly RbdCommandQueue _commands;
    private readonly TargetOptions _options;
    private readonly TargetCounter _size = new(SizeCounterName);
    private readonly RbdSizeWatch _sizeWatch;
    private bool _isLost;

    private RbdTarget(RbdImage image, RbdName name, bool readOnly, TargetOptions options)
    {
        _image = image;
        _options = options;
        BackingPath = $"rbd:{name}";
        Geometry = new TargetGeometry
        {
            Size = image.Size / BlockSize * BlockSize,
            ReadOnly = readOnly,
            VolatileCache = !readOnly,

            // librbd has no such write: the kernel sends a flush after it.
            ForceUnitAccess = false,
            DiscardGranularity = readOnly ? 0 : DiscardGranularity,
            WriteZeroes = !readOnly,
        };
        Properties = image.Describe();
        _size.Add(image.Size);
        _commands = new RbdCommandQueue(image, options.FirstFile);
        try
        {
            _sizeWatch = new RbdSizeWatch(image, options.FormerSize ?? image.Size, ChangeSize);
        }
        catch
        {
            _commands.Dispose();
            throw;
        }

        Files = [_commands.EventFile];
    }

    /// <summary>The catalogue's entry.</summary>
    public static TargetDefinition Definition { get; } = new(
        "Rbd",
        "Serves an image in a Ceph cluster (RADOS block device).",
        [
            new TargetOption("Spec", TargetOptionKind.Text,
                "The image: pool/image, pool/namespace/image or pool/image@snapshot. In the place of its parts."),
            new TargetOption("Image", TargetOptionKind.Text, "The name of the image."),
            new TargetOption("Pool", TargetOptionKind.Text, "The pool of the image; rbd by default."),
            new TargetOption("Namespace", TargetOptionKind.Text, "The namespace in the pool; the pool's own by default."),
            new TargetOption("Snapshot", TargetOptionKind.Text, "Serves this snapshot instead of the active state; read-only."),
            new TargetOption("ConfigPath", TargetOptionKind.Path, "Ceph's configuration file; /etc/ceph/ceph.conf by default."),
            new TargetOption("User", TargetOptionKind.Text, "The name of the Ceph user, without 'client.'; admin by default."),
            new TargetOption("KeyringPath", TargetOptionKind.Path, "The file with the key of the user; as configured by default."),
            new TargetOption("Cluster", TargetOptionKind.Text,
                "Settings of Ceph for this disk, with ';' between them, such as 'rados_osd_op_timeout=30'."),
        ],
        Open)
    {
        NeedsNetwork = true,
        SizeCounter = SizeCounterName,
        ResizeStorage = (options, size) => RbdImage.Resize(RbdName.Of(options), options, size),
    };

    /// <inheritdoc/>
    public override TargetGeometry Geometry { get; }

    /// <inheritdoc/>
    public override IReadOnlyList<SafeFileHandle> Files { get; }

    /// <inheritdoc/>
    public override string BackingPath { get; }

    /// <inheritdoc/>
    public override IReadOnlyDictionary<string, string> Properties { get; }

    /// <inheritdoc/>
    public override IReadOnlyList<TargetCounter> Counters => [_size];

    /// <inheritdoc/>
    internal override bool KeepsState => !Geometry.ReadOnly;

    /// <summary>Connects to the cluster and opens the image.</summary>
    /// <exception cref="UblkException">The cluster cannot be reached, or the image cannot back this disk.</exception>
    public static RbdTarget Open(TargetOptions options)
    {
        RbdName name = RbdName.Of(options);
        bool readOnly = options.ReadOnly || name.Snapshot is not null;
        RequireOneThread(options);
        RbdImage image = RbdImage.Open(name, options, readOnly);
        try
        {
            if (image.Size < BlockSize)
            {
                throw new UblkException(UblkError.InvalidBackingFile,
                    $"{name} has {image.Size} bytes, less than one block of {BlockSize}.");
            }

            if (readOnly && !options.ReadOnly)
            {
                options.Warnings.Add("A snapshot is never written, so the disk is read-only.");
            }

            return new RbdTarget(image, name, readOnly, options);
        }
        catch
        {
            image.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public override IoTask<int> HandleAsync(IoRequest request) => request.Operation switch
    {
        not (IoOperation.Read or IoOperation.Flush) when Geometry.ReadOnly => -Libc.EROFS,
        IoOperation.Read or IoOperation.Write => TransferAsync(request),
        IoOperation.Discard or IoOperation.WriteZeroes => CoverRangeAsync(request),
        IoOperation.Flush => TransferAsync(request),
        _ => -Libc.EOPNOTSUPP,
    };

    /// <inheritdoc/>
    internal override bool IsBoundToQueues => true;

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _sizeWatch.Dispose();

            // The image writes to the eventfd until it is closed.
            _image.Dispose();
            _commands.Dispose();
        }

        base.Dispose(disposing);
    }

    private static void RequireOneThread(TargetOptions options)
    {
        // An image has one list of completions, which one thread takes.
        if (options.QueueThreads > 1)
        {
            throw new UblkException(UblkError.NotSupported,
                $"The Rbd target serves one queue thread, not {options.QueueThreads}. Omit -QueueCount and -ThreadsPerQueue.");
        }
    }

    private async IoTask<int> TransferAsync(IoRequest request)
    {
        int result = await _commands.SubmitAsync(request, request.Offset, request.Length);
        if (result >= 0 && request.IsForceUnitAccess && request.Operation == IoOperation.Write)
        {
            // Of a disk that was moved here, which has such writes.
            result = await _commands.SubmitAsync(request.Derive(IoOperation.Flush, 0, 0, default), 0, 0);
        }

        Examine(result);
        return result == 0 && request.Operation == IoOperation.Write ? (int)request.Length : result;
    }

    private async IoTask<int> CoverRangeAsync(IoRequest request)
    {
        long end = request.Offset + request.Length;
        for (long offset = request.Offset; offset < end; offset += MaxRange)
        {
            int result = await _commands.SubmitAsync(request, offset, long.Min(MaxRange, end - offset));
            if (result < 0)
            {
                Examine(result);
                return result;
            }
        }

        return 0;
    }

    private void ChangeSize(long size)
    {
        _size.Add(size - _size.Value);
        _options.Inform($"{BackingPath} has {size} bytes now.");
        _options.SizeChanged();
    }

    // Once for all requests: the cluster never takes a client back that it has blocklisted.
    private void Examine(int result)
    {
        if (result == -Libc.ESHUTDOWN && !_isLost)
        {
            _isLost = true;
            _options.Warn($"The Ceph cluster has blocklisted this client of {BackingPath}: every request fails with ESHUTDOWN from now on. "
                + "Remove the device and make it again.");
        }
    }
}

using Ublk.Io;
using Ublk.Live;
using Ublk.Qcow2.Data;
using Ublk.Qcow2.Opening;
using Ublk.Targets;
using Ublk.Targets.Qcow2;

namespace Ublk.Tests.Qcow2.Crash;

/// <summary>In which direction the data of an image and its backing file is copied.</summary>
internal enum MergeDirection
{
    /// <summary>From the image into its backing file.</summary>
    Down,

    /// <summary>From the backing file into the image.</summary>
    Up,
}

/// <summary>A merge on a simulated disk while the image is in use: one copy at a time, begun between the requests of the clients.</summary>
internal sealed class SimulatedMerge : IDisposable
{
    /// <summary>The name of the backing file.</summary>
    public const string Base = "base";

    private const int Piece = 64 << 10;

    private readonly MergeDirection _direction;
    private readonly long _size;
    private readonly BlockTarget? _below;
    private readonly ChangedRanges _changes;
    private readonly AlignedBuffer _buffer = new(Piece);
    private Qcow2Target? _image;
    private IoRequest? _request;
    private IoTask<int>? _copy;
    private long _position;

    /// <summary>Opens the backing file, where it is written.</summary>
    public SimulatedMerge(SimulatedDisk disk, MergeDirection direction, long size)
    {
        _direction = direction;
        _size = size;
        _changes = new ChangedRanges(size);
        if (direction == MergeDirection.Down)
        {
            _below = IsImage(disk.Files[Base].Content)
                ? new Qcow2Target(new ImageOpener(disk.Open, new ImageOptions()).Open(Base, out ImageUpdater? updater), updater,
                    DiscardMode.Unmap, [])
                : new SimulatedRawTarget(disk.Open(Base, readOnly: false, 0), size);
            Backing = new TargetLayer(_below);
        }
    }

    /// <summary>What the image is opened over; null for its backing file.</summary>
    public DiskLayer? Backing { get; }

    /// <summary>What answers the clients.</summary>
    public BlockTarget Target { get; private set; } = null!;

    /// <summary>Whether a copy failed, which ends the merge.</summary>
    public bool HasFailed { get; private set; }

    /// <summary>Whether all is copied.</summary>
    public bool IsDone { get; private set; }

    /// <summary>Whether a file begins as a qcow2 image does.</summary>
    public static bool IsImage(ReadOnlySpan<byte> content) => content.StartsWith("QFI"u8);

    /// <summary>Takes the open image.</summary>
    public void Begin(Qcow2Target image)
    {
        _image = image;
        Target = _below is null ? image : new ChangeNotingTarget(image, _changes, _below);
    }

    /// <summary>Begins a copy, if none is under way, or ends one.</summary>
    /// <param name="begins">Whether one may begin.</param>
    /// <param name="isLast">Whether no request will change the disk any more.</param>
    /// <returns>The result of the copy that ended, or 0.</returns>
    public int Step(bool begins, bool isLast)
    {
        _request ??= new IoRequest(IoQueue.Current!, 0, 0);
        if (_copy is { IsCompleted: true } ended)
        {
            _copy = null;
            int result = ended.GetAwaiter().GetResult();
            HasFailed |= result < 0;
            IsDone |= HasFailed;
            return result;
        }

        if (_copy is not null || IsDone || !(begins || isLast))
        {
            return 0;
        }

        if (_direction == MergeDirection.Up)
        {
            int length = (int)long.Min(Piece, _size - _position);
            if (length > 0)
            {
                _copy = _image!.PullAsync(_position, _buffer.Part(0, length));
                _position += length;
                return 0;
            }
        }
        else if (_changes.TryTake(ref _position, Piece, out long offset, out int length))
        {
            _copy = _image!.CopyOwnAsync(_request, _below!, offset, _buffer.Part(0, length));
            return 0;
        }
        else if (_changes.Length > 0)
        {
            _position = 0;
            return 0;
        }

        IsDone = isLast;
        return 0;
    }

    /// <summary>What the disk reads as when only the file that got the data is there.</summary>
    public byte[] ReadResult(SimulatedDisk disk)
    {
        string name = _direction == MergeDirection.Up ? SimulatedImage.Name : Base;
        if (!IsImage(disk.Files[name].Content))
        {
            return disk.Files[name].Content[..(int)_size].ToArray();
        }

        using Qcow2Layer layer =
            new ImageOpener(disk.Open, new ImageOptions { ReadOnly = true, NoBacking = true }).Open(name, out _);
        return SimulatedImage.Read(layer)[..(int)_size];
    }

    public void Dispose()
    {
        _below?.Dispose();
        _buffer.Dispose();
    }
}

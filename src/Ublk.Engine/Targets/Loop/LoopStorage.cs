using Microsoft.Win32.SafeHandles;
using Ublk.Files;
using Ublk.Interop;

namespace Ublk.Targets.Loop;

/// <summary>The file behind a loop disk: it begins at the offset and ends where the disk does.</summary>
internal sealed class LoopStorage : DiskStorage
{
    private readonly IReadOnlyDictionary<string, string> _options;
    private readonly LoopTarget _target;
    private readonly BackingFile _file;
    private readonly long _offset;

    /// <summary>Opens the file beside the worker, which has it locked.</summary>
    /// <exception cref="UblkException">It cannot back a disk any more.</exception>
    public LoopStorage(IReadOnlyDictionary<string, string> options, bool readOnly)
    {
        _options = options;
        TargetOptions parsed = new(options) { ReadOnly = readOnly, IgnoreLock = true };
        _target = LoopTarget.Open(parsed);
        _file = _target.Backing;
        _offset = parsed.GetNumber("Offset") ?? 0;
    }

    /// <inheritdoc/>
    public override long? Size => _target.Geometry.Size;

    /// <inheritdoc/>
    public override SafeFileHandle File => _file.Handle;

    /// <inheritdoc/>
    public override IReadOnlyDictionary<string, string> Resize(long size)
    {
        if (_file.IsBlockDevice)
        {
            throw new UblkException(UblkError.InvalidArgument,
                $"{_file.Path} is a block device: its own means change its size. Leave -Size out to take the size it has "
                    + $"now, {Size} bytes.");
        }

        if (_file.ReadOnly)
        {
            throw new UblkException(UblkError.InvalidArgument,
                $"The disk is read-only, so {_file.Path} is left as it is. Leave -Size out to take the size it has now, {Size} bytes.");
        }

        if (size > long.MaxValue - _offset)
        {
            throw new UblkException(UblkError.InvalidArgument, $"{_file.Path} cannot have {size} bytes from {_offset} on.");
        }

        SetLength(_offset + size);
        return _options;
    }

    /// <inheritdoc/>
    public override void Undo() => SetLength(_file.Length);

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _target.Dispose();
        }

        base.Dispose(disposing);
    }

    private void SetLength(long length)
    {
        if (Libc.FTruncate(_file.Handle, length) != 0)
        {
            throw UblkException.FromErrno(Libc.LastErrno, "ftruncate", $"{_file.Path} cannot have {length} bytes");
        }
    }
}

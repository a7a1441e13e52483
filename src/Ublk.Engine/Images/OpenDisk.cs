using Ublk.Files;
using Ublk.Specification;
using Ublk.Targets;
using Ublk.Targets.Loop;
using Ublk.Targets.Qcow2;

namespace Ublk.Images;

/// <summary>The disk in an image, opened as a device would open it: its file is locked, and a crash leaves it consistent.</summary>
internal sealed class OpenDisk : IDisposable
{
    private readonly BlockTarget _target;
    private readonly TargetClient _client;

    /// <summary>Opens an image.</summary>
    /// <param name="path">The image.</param>
    /// <param name="format">Its format.</param>
    /// <param name="backingFormat">The format of backing files where a header does not name it; null to refuse those.</param>
    /// <param name="readOnly">Whether it is only read.</param>
    /// <exception cref="UblkException">The image is malformed, in use or not accessible.</exception>
    public OpenDisk(string path, ImageFormat format, ImageFormat? backingFormat, bool readOnly)
    {
        // Through the page cache, so that blocks have 512 bytes whatever the file system.
        Dictionary<string, string> options = new() { [DeviceSpecification.BackingPathOption] = path, ["DirectIO"] = "false" };
        if (format == ImageFormat.Raw)
        {
            options["Format"] = nameof(ImageFormat.Raw);
        }
        else if (backingFormat is { } given)
        {
            options["BackingFormat"] = given.ToString();
        }

        TargetOptions opened = new(options) { ReadOnly = readOnly };
        _target = format == ImageFormat.Raw ? LoopTarget.Open(opened) : Qcow2Target.Open(opened);
        _client = new TargetClient(_target);
        if (_target.Geometry.ReadOnly && !readOnly)
        {
            _target.Dispose();
            throw new UblkException(UblkError.PermissionDenied, $"{path} cannot be opened for writing. Run as its owner, or as root.");
        }
    }

    /// <summary>Size of the disk in bytes.</summary>
    public long Size => _target.Geometry.Size;

    /// <summary>Reads blocks; those beyond the end of the disk are zeroes.</summary>
    public void Read(long offset, Span<byte> buffer)
    {
        int inside = (int)long.Clamp(Size - offset, 0, buffer.Length);
        if (inside > 0)
        {
            _client.Read(offset, inside).CopyTo(buffer);
        }

        buffer[inside..].Clear();
    }

    /// <summary>Writes blocks, which then are allocated.</summary>
    public void Write(long offset, ReadOnlySpan<byte> data) => _client.Write(offset, data.ToArray());

    /// <summary>Makes blocks read as zeroes. Those that do already, because of a backing file, may stay unallocated.</summary>
    public void WriteZeroes(long offset, long length) => _client.WriteZeroes(offset, length);

    /// <summary>Makes all that was written durable.</summary>
    /// <exception cref="UblkException">It cannot be written back.</exception>
    public void Finish()
    {
        _client.Flush();
        _target.Finish();
    }

    /// <inheritdoc/>
    public void Dispose() => _target.Dispose();
}

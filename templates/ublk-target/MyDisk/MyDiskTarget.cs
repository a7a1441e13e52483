using Ublk.Io;
using Ublk.Targets;

namespace MyDisk;

/// <summary>A disk in memory. Make it yours.</summary>
public sealed class MyDiskTarget : BlockTarget
{
    private readonly byte[] _data;

    public MyDiskTarget(long size)
    {
        _data = new byte[size];
        Geometry = new TargetGeometry { Size = size };
    }

    /// <summary>What New-UblkDevice and Get-UblkTarget find in the assembly.</summary>
    public static TargetDefinition Definition { get; } = new(
        "MyDisk",
        "A disk in memory.",
        [new TargetOption("Size", TargetOptionKind.Size, "Size of the disk in bytes; 64 MiB by default.")],
        options => new MyDiskTarget(options.GetNumber("Size") ?? 64 << 20));

    /// <inheritdoc/>
    public override TargetGeometry Geometry { get; }

    /// <inheritdoc/>
    public override IoTask<int> HandleAsync(IoRequest request)
    {
        Span<byte> range = _data.AsSpan((int)request.Offset, (int)request.Length);
        if (request.Operation == IoOperation.Read)
        {
            range.CopyTo(request.Buffer.Span);
        }
        else
        {
            request.Buffer.Span.CopyTo(range);
        }

        return 0;
    }
}

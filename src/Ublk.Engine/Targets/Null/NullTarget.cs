using Ublk.Io;

namespace Ublk.Targets.Null;

/// <summary>A disk of which every request succeeds at once: writes vanish, reads return whatever is in the buffer.</summary>
internal sealed class NullTarget : BlockTarget
{
    /// <summary>The size where none is given: 250 GiB, as other ublk servers have it.</summary>
    public const long DefaultSize = 250L << 30;

    /// <summary>The catalogue's entry.</summary>
    public static TargetDefinition Definition { get; } = new(
        "Null",
        "Completes every request at once, to measure the overhead of the data path.",
        [new TargetOption("Size", TargetOptionKind.Size, "Size of the disk in bytes; 250 GiB by default.")],
        options => new NullTarget(options.GetNumber("Size") ?? DefaultSize, options.ReadOnly))
    {
        OpenStorage = (_, _) => new NullStorage(),
    };

    /// <summary>Makes a null disk.</summary>
    /// <param name="size">Its size in bytes, at least a block.</param>
    /// <param name="readOnly">Whether it refuses writes.</param>
    /// <exception cref="UblkException">The size is less than a block, or no multiple of one.</exception>
    public NullTarget(long size, bool readOnly = false)
    {
        if (size < 512 || size % 512 != 0)
        {
            throw new UblkException(UblkError.InvalidArgument, $"Size must be a multiple of 512 bytes, at least 512, not {size}.");
        }

        Geometry = new TargetGeometry { Size = size, ReadOnly = readOnly };
    }

    /// <inheritdoc/>
    public override TargetGeometry Geometry { get; }

    /// <inheritdoc/>
    public override bool ForwardsData => true;

    /// <inheritdoc/>
    /// <remarks>With zero copy nothing writes to the pages of a read, and its client would see stale kernel memory.</remarks>
    public override int ZeroCopyThreshold => int.MaxValue;

    /// <inheritdoc/>
    public override IoTask<int> HandleAsync(IoRequest request) => 0;
}

/// <summary>Nothing: a disk of it has whatever size its options say.</summary>
internal sealed class NullStorage : DiskStorage
{
    /// <inheritdoc/>
    public override long? Size => null;

    /// <inheritdoc/>
    public override IReadOnlyDictionary<string, string> Resize(long size) => new Dictionary<string, string> { ["Size"] = $"{size}" };

    /// <inheritdoc/>
    public override void Undo()
    {
    }
}

using Ublk.Files;
using Ublk.Images.Content;
using Ublk.Qcow2.AtRest;
using Ublk.Qcow2.Compression;

namespace Ublk.Images;

/// <summary>Copies an image into a new one of another format or with other options; what is not used stays unused.</summary>
public sealed record ConvertImage : ImageOperation
{
    /// <summary>Its format; null to see by how it begins.</summary>
    public ImageFormat? SourceFormat { get; init; }

    /// <summary>The format of backing files where the header does not name it; null to refuse those.</summary>
    public ImageFormat? BackingFormat { get; init; }

    /// <summary>The id or name of a snapshot to copy in the place of the disk as it is; null for the disk.</summary>
    public string? Snapshot { get; init; }

    /// <summary>The new image, by its absolute path.</summary>
    public required string Destination { get; init; }

    /// <summary>What the new image is like.</summary>
    public required NewImageOptions Options { get; init; }

    /// <summary>Whether to compress each cluster.</summary>
    public bool Compress { get; init; }

    /// <summary>Whether a file that is there gives way.</summary>
    public bool Force { get; init; }

    /// <inheritdoc/>
    internal override ImageResult? Run(ImageProgress progress)
    {
        if (Compress && (Options.Format == ImageFormat.Raw || Options.DataFile is not null))
        {
            throw new UblkException(UblkError.InvalidArgument,
                "Only qcow2 images without an external data file can be compressed. Leave -Compress out, or choose -Format Qcow2.");
        }

        using ImageContent source = ImageChain.Open(Path, SourceFormat, BackingFormat, DiskFile.OpenForReading, Snapshot);
        source.RequireReadable();
        using NewImage image = NewImage.Begin(Destination, Options, source.Size, Force, source);
        progress.Begin($"Converting {Path}", source.Size);
        ImageCopy copy = new(source, image, Compress ? ClusterCodec.Of(NewImageHeader.CompressionOf(Options)) : null, progress);
        copy.Run();
        image.Finish();
        return null;
    }
}

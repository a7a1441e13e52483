using System.Text.Json.Serialization;
using Ublk.Files;
using Ublk.Qcow2.AtRest;

namespace Ublk.Images;

/// <summary>Something done to an image: the cmdlet says what, the worker program does it.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "Operation")]
[JsonDerivedType(typeof(CreateImage), nameof(CreateImage))]
[JsonDerivedType(typeof(ConvertImage), nameof(ConvertImage))]
[JsonDerivedType(typeof(CheckImage), nameof(CheckImage))]
[JsonDerivedType(typeof(ResizeImage), nameof(ResizeImage))]
[JsonDerivedType(typeof(OptimizeImage), nameof(OptimizeImage))]
[JsonDerivedType(typeof(CreateSnapshot), nameof(CreateSnapshot))]
[JsonDerivedType(typeof(RestoreSnapshot), nameof(RestoreSnapshot))]
[JsonDerivedType(typeof(RemoveSnapshot), nameof(RemoveSnapshot))]
[JsonDerivedType(typeof(CreateBitmap), nameof(CreateBitmap))]
[JsonDerivedType(typeof(ClearBitmap), nameof(ClearBitmap))]
[JsonDerivedType(typeof(RemoveBitmap), nameof(RemoveBitmap))]
[JsonDerivedType(typeof(CompareImage), nameof(CompareImage))]
[JsonDerivedType(typeof(MeasureImage), nameof(MeasureImage))]
[JsonDerivedType(typeof(MergeImage), nameof(MergeImage))]
[JsonDerivedType(typeof(RebaseImage), nameof(RebaseImage))]
public abstract record ImageOperation
{
    /// <summary>The image, by its absolute path.</summary>
    public required string Path { get; init; }

    /// <summary>Opens a file to change it, the image or one that has its data.</summary>
    internal Func<string, DiskFile> OpenForWriting { get; init; } = DiskFile.OpenForWriting;

    /// <summary>Runs the operation.</summary>
    /// <param name="progress">Receives the progress, and requests a stop.</param>
    /// <returns>What it found out; null from operations that only change images.</returns>
    /// <exception cref="UblkException">It cannot be done; the image is as it was.</exception>
    /// <exception cref="OperationCanceledException">It was to stop, and did; the image is as it was.</exception>
    internal abstract ImageResult? Run(ImageProgress progress);
}

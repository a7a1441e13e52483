using System.Text.Json.Serialization;

namespace Ublk.Images;

/// <summary>What an operation on an image found out.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "Result")]
[JsonDerivedType(typeof(ImageCheckResult), nameof(ImageCheckResult))]
[JsonDerivedType(typeof(ImageComparison), nameof(ImageComparison))]
[JsonDerivedType(typeof(ImageMeasurement), nameof(ImageMeasurement))]
public abstract record ImageResult
{
    /// <summary>The image.</summary>
    public required string Path { get; init; }
}

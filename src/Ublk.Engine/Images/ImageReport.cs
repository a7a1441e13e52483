using System.Text.Json.Serialization;
using Ublk.Workers;

namespace Ublk.Images;

/// <summary>One report of the worker about an operation on an image.</summary>
internal sealed record ImageReport
{
    /// <summary>What it is doing, in a sentence; null in reports of another kind.</summary>
    public string? Step { get; init; }

    /// <summary>Bytes of the step that are done.</summary>
    public long Done { get; init; }

    /// <summary>Bytes of the step; 0 where that is not known.</summary>
    public long Total { get; init; }

    /// <summary>What the user should know although it works.</summary>
    public string? Warning { get; init; }

    /// <summary>Whether all is done: the last line.</summary>
    public bool IsFinished { get; init; }

    /// <summary>What the operation found out; in the last line.</summary>
    public ImageResult? Result { get; init; }

    /// <summary>What went wrong; in the last line.</summary>
    public WorkerFailure? Failure { get; init; }
}

/// <summary>How operations and reports are written: compiled in, since the worker has no reflection.</summary>
[JsonSourceGenerationOptions(DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull, RespectNullableAnnotations = true)]
[JsonSerializable(typeof(ImageOperation))]
[JsonSerializable(typeof(ImageReport))]
internal sealed partial class ImageJson : JsonSerializerContext;

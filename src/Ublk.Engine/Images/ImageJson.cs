using System.Text.Json;
using System.Text.Json.Serialization;

namespace Ublk.Images;

/// <summary>How operations and reports are written: compiled in, since the worker has no reflection.</summary>
[JsonSourceGenerationOptions(DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull, RespectNullableAnnotations = true)]
[JsonSerializable(typeof(ImageOperation))]
[JsonSerializable(typeof(ImageReport))]
internal sealed partial class ImageJson : JsonSerializerContext;

using System.Text.Json;
using System.Text.Json.Serialization;
using Ublk.Catalog;
using Ublk.Launching;

namespace Ublk.Devices;

/// <summary>How specifications, records and reports are written: compiled in, since the worker has no reflection.</summary>
[JsonSourceGenerationOptions(DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull, RespectNullableAnnotations = true)]
[JsonSerializable(typeof(LaunchOrder))]
[JsonSerializable(typeof(DeviceRecord))]
[JsonSerializable(typeof(WorkerReport))]
[JsonSerializable(typeof(PluginReport))]
internal sealed partial class DeviceJson : JsonSerializerContext;

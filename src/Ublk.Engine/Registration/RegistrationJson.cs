using System.Text.Json.Serialization;
using Ublk.Specification;

namespace Ublk.Registration;

/// <summary>How the specification of a registered device is written: for people to read.</summary>
[JsonSourceGenerationOptions(
    WriteIndented = true, UseStringEnumConverter = true, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingDefault)]
[JsonSerializable(typeof(DeviceSpecification))]
internal sealed partial class RegistrationJson : JsonSerializerContext;

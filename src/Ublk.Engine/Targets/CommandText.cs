using System.Buffers;
using System.Text;
using System.Text.Json;

namespace Ublk.Targets;

/// <summary>A program and its arguments as the text of an option: an array of strings in JSON.</summary>
internal static class CommandText
{
    /// <summary>The text.</summary>
    public static string Format(IEnumerable<string> words)
    {
        ArrayBufferWriter<byte> bytes = new();
        using (Utf8JsonWriter writer = new(bytes))
        {
            writer.WriteStartArray();
            foreach (string word in words)
            {
                writer.WriteStringValue(word);
            }

            writer.WriteEndArray();
        }

        return Encoding.UTF8.GetString(bytes.WrittenSpan);
    }

    /// <summary>The words; null where the text is something else.</summary>
    public static string[]? TryParse(string text)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(text);
            return document.RootElement.ValueKind == JsonValueKind.Array
                && document.RootElement.EnumerateArray().All(word => word.ValueKind == JsonValueKind.String)
                ? [.. document.RootElement.EnumerateArray().Select(word => word.GetString()!)]
                : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }
}

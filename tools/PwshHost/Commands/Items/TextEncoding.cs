using System.Management.Automation;
using System.Text;

namespace PwshHost.Commands.Items;

/// <summary>The names pwsh gives to encodings.</summary>
internal static class TextEncoding
{
    public static Encoding Parse(string? name) => name?.ToLowerInvariant() switch
    {
        null or "" or "utf8" or "utf-8" or "utf8nobom" or "default" => new UTF8Encoding(encoderShouldEmitUTF8Identifier: false),
        "utf8bom" => Encoding.UTF8,
        "ascii" => Encoding.ASCII,
        "latin1" => Encoding.Latin1,
        "unicode" => Encoding.Unicode,
        _ => throw new PSArgumentException($"Encoding '{name}' is not supported by this host."),
    };
}

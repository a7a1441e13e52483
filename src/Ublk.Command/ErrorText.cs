using System.Text.Json;
using System.Text.RegularExpressions;

namespace Ublk.CommandLine;

/// <summary>The engine's errors for users of this command: its messages say what to do in terms of PowerShell.</summary>
internal static partial class ErrorText
{
    /// <summary>
    /// The message, with the commands and options that have an equivalent here under the name that they have here. A sentence that names
    /// another cmdlet is left out.
    /// </summary>
    public static string Of(UblkException exception)
    {
        string text = LogCommand().Replace(exception.Message, "");
        text = DeviceCommand().Replace(text, match => $"ublk {VerbOf(match.Groups["verb"].Value)} -n {match.Groups["id"].Value}");
        string[] sentences = SentenceEnd().Split(text);
        IEnumerable<string> understood = sentences.Where((sentence, place) => place == 0 || !Cmdlet().IsMatch(sentence));
        return WithOptions(string.Join(' ', understood));
    }

    /// <summary>A text with the options of this command in the place of PowerShell's parameters.</summary>
    public static string WithOptions(string text) =>
        Parameter().Replace(text, match => OptionOf(match.Groups["name"].Value, match.Groups["value"].Value));

    private static string OptionOf(string name, string value) => (name, value) switch
    {
        ("Recovery", "Queue") => "-r 1",
        ("Recovery", "Reissue") => "-i 1",
        ("Recovery", "Fail") => "-e 1",
        ("BufferMode", "ZeroCopy") => "-z",
        ("BufferMode", "UserCopy") => "--usercopy",
        ("Target", _) => $"-t {value.ToLowerInvariant()}",
        ("NoPartitionScan", _) => "--no_auto_part_scan",
        _ => $"--{JsonNamingPolicy.SnakeCaseLower.ConvertName(name)}{(value.Length > 0 ? $" {value}" : "")}",
    };

    private static string VerbOf(string verb) => verb switch
    {
        "Get" => "list",
        "Remove" => "del",
        "Update" => "update",
        _ => "recover",
    };

    [GeneratedRegex(@"Get-UblkLog \d+, or ")]
    private static partial Regex LogCommand();

    [GeneratedRegex(@"\b(?<verb>Get|Remove|Start|Resume|Update)-UblkDevice (?<id>\d+)(?: -Force)?")]
    private static partial Regex DeviceCommand();

    // A full stop within a name or a number is not followed by a space and a capital letter.
    [GeneratedRegex(@"(?<=\.) (?=[A-Z-])")]
    private static partial Regex SentenceEnd();

    [GeneratedRegex(@"[A-Z][a-z]+-Ublk[A-Z]")]
    private static partial Regex Cmdlet();

    [GeneratedRegex(@"(?<= )-(?<name>[A-Z][a-z][A-Za-z]*)(?: (?<value>[A-Z][A-Za-z0-9]+))?")]
    private static partial Regex Parameter();
}

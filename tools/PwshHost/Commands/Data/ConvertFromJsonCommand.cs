using System.Collections.Specialized;
using System.Globalization;
using System.Management.Automation;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace PwshHost.Commands.Data;

[Cmdlet(VerbsData.ConvertFrom, "Json")]
public sealed partial class ConvertFromJsonCommand : PSCmdlet
{
    private readonly List<string> _lines = [];

    [Parameter(Mandatory = true, Position = 0, ValueFromPipeline = true)]
    [AllowEmptyString]
    public string InputObject { get; set; } = string.Empty;

    [Parameter]
    public SwitchParameter AsHashtable { get; set; }

    [Parameter]
    public SwitchParameter NoEnumerate { get; set; }

    [Parameter]
    public int Depth { get; set; } = 1024;

    protected override void ProcessRecord() => _lines.Add(InputObject);

    protected override void EndProcessing()
    {
        string text = string.Join('\n', _lines);
        if (string.IsNullOrWhiteSpace(text))
        {
            return;
        }

        try
        {
            var options = new JsonDocumentOptions { MaxDepth = Depth, AllowTrailingCommas = true, CommentHandling = JsonCommentHandling.Skip };
            using var document = JsonDocument.Parse(text, options);
            WriteObject(ToObject(document.RootElement), enumerateCollection: !NoEnumerate && !AsHashtable);
        }
        catch (JsonException error)
        {
            ThrowTerminatingError(new ErrorRecord(
                new ArgumentException("Conversion from JSON failed with error: " + error.Message, error),
                "System.ArgumentException",
                ErrorCategory.NotSpecified,
                null));
        }
    }

    private object? ToObject(JsonElement element) => element.ValueKind switch
    {
        JsonValueKind.Object when AsHashtable => ToTable(element),
        JsonValueKind.Object => ToPSObject(element),
        JsonValueKind.Array => element.EnumerateArray().Select(ToObject).ToArray(),
        JsonValueKind.String => ToDateOrText(element.GetString()!),
        JsonValueKind.Number => ToNumber(element),
        JsonValueKind.True => true,
        JsonValueKind.False => false,
        _ => null,
    };

    private OrderedDictionary ToTable(JsonElement element)
    {
        var table = new OrderedDictionary();
        foreach (JsonProperty property in element.EnumerateObject())
        {
            table[property.Name] = ToObject(property.Value);
        }

        return table;
    }

    private PSObject ToPSObject(JsonElement element)
    {
        var result = new PSObject();
        foreach (JsonProperty property in element.EnumerateObject())
        {
            result.Properties.Add(new PSNoteProperty(property.Name, ToObject(property.Value)));
        }

        return result;
    }

    private static object ToNumber(JsonElement element)
    {
        if (element.TryGetInt64(out long whole))
        {
            return whole;
        }

        return element.TryGetUInt64(out ulong large) ? large : element.GetDouble();
    }

    // pwsh turns what looks like a round-trip time stamp into a DateTime.
    private static object ToDateOrText(string text) =>
        TimeStamp().IsMatch(text) && DateTime.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.RoundtripKind, out DateTime date)
            ? date
            : text;

    [GeneratedRegex(@"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?$")]
    private static partial Regex TimeStamp();
}

using System.Management.Automation;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace PwshHost.Commands.Data;

[Cmdlet(VerbsData.ConvertTo, "Json")]
public sealed class ConvertToJsonCommand : PSCmdlet
{
    private readonly List<object?> _items = [];

    [Parameter(Mandatory = true, Position = 0, ValueFromPipeline = true)]
    [AllowNull]
    public object? InputObject { get; set; }

    [Parameter]
    public int Depth { get; set; } = 2;

    [Parameter]
    public SwitchParameter Compress { get; set; }

    [Parameter]
    public SwitchParameter EnumsAsStrings { get; set; }

    [Parameter]
    public SwitchParameter AsArray { get; set; }

    protected override void ProcessRecord() => _items.Add(InputObject);

    protected override void EndProcessing()
    {
        if (_items.Count == 0)
        {
            return;
        }

        using var buffer = new MemoryStream();
        var options = new JsonWriterOptions { Indented = !Compress, NewLine = "\n", Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };
        using (var writer = new Utf8JsonWriter(buffer, options))
        {
            bool single = _items.Count == 1 && !AsArray;
            new JsonWriting(writer, Depth, EnumsAsStrings).Write(single ? _items[0] : _items, single ? 0 : -1);
        }

        WriteObject(Encoding.UTF8.GetString(buffer.ToArray()));
    }
}

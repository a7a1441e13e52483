using System.Management.Automation;

namespace PwshHost.Commands.Data;

[Cmdlet(VerbsData.Export, "Csv")]
public sealed class ExportCsvCommand : PSCmdlet
{
    private readonly List<string> _lines = [];
    private string[]? _names;

    [Parameter(Mandatory = true, Position = 0)]
    public string Path { get; set; } = "";

    [Parameter(ValueFromPipeline = true)]
    public PSObject? InputObject { get; set; }

    protected override void ProcessRecord()
    {
        if (InputObject is { } row)
        {
            if (_names is null)
            {
                _names = [.. row.Properties.Select(property => property.Name)];
                _lines.Add(Line(_names));
            }

            _lines.Add(Line(_names.Select(name => LanguagePrimitives.ConvertTo<string>(row.Properties[name]?.Value))));
        }
    }

    protected override void EndProcessing() => File.WriteAllLines(GetUnresolvedProviderPathFromPSPath(Path), _lines);

    private static string Line(IEnumerable<string?> cells) => string.Join(',', cells.Select(cell => $"\"{cell?.Replace("\"", "\"\"", StringComparison.Ordinal)}\""));
}

using System.Management.Automation;
using PwshHost.Commands.Items;
using PwshHost.Commands.Objects;

namespace PwshHost.Commands.Formatting;

/// <summary>Also what the redirection operators run.</summary>
[Cmdlet(VerbsData.Out, "File")]
public sealed class OutFileCommand : PipelineCommand
{
    [Parameter(Mandatory = true, Position = 0)]
    [Alias("Path", "LiteralPath")]
    public string FilePath { get; set; } = string.Empty;

    [Parameter(Position = 1)]
    public string Encoding { get; set; } = "utf8";

    [Parameter]
    public SwitchParameter Append { get; set; }

    [Parameter]
    public SwitchParameter Force { get; set; }

    [Parameter]
    [Alias("NoOverwrite")]
    public SwitchParameter NoClobber { get; set; }

    [Parameter]
    public SwitchParameter NoNewline { get; set; }

    [Parameter]
    public int? Width { get; set; }

    protected override void EndProcessing()
    {
        string path = GetUnresolvedProviderPathFromPSPath(FilePath);
        string text = HostText.Of(this, Items, Width ?? int.MaxValue);
        text = NoNewline ? text.ReplaceLineEndings(string.Empty) : text;
        FileMode mode = Append ? FileMode.Append : NoClobber ? FileMode.CreateNew : FileMode.Create;
        using var writer = new StreamWriter(path, TextEncoding.Parse(Encoding), new FileStreamOptions { Mode = mode, Access = FileAccess.Write });
        writer.Write(text);
    }
}

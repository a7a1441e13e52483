using System.Management.Automation;
using FilePath = System.IO.Path;

namespace PwshHost.Commands.Items;

[Cmdlet(VerbsCommon.Split, "Path", DefaultParameterSetName = "Parent")]
public sealed class SplitPathCommand : PSCmdlet
{
    [Parameter(Mandatory = true, Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [Alias("LiteralPath", "PSPath")]
    public string[] Path { get; set; } = [];

    [Parameter(ParameterSetName = "Parent")]
    public SwitchParameter Parent { get; set; }

    [Parameter(Mandatory = true, ParameterSetName = "Leaf")]
    public SwitchParameter Leaf { get; set; }

    [Parameter(Mandatory = true, ParameterSetName = "LeafBase")]
    public SwitchParameter LeafBase { get; set; }

    [Parameter(Mandatory = true, ParameterSetName = "Extension")]
    public SwitchParameter Extension { get; set; }

    [Parameter(Mandatory = true, ParameterSetName = "IsAbsolute")]
    public SwitchParameter IsAbsolute { get; set; }

    protected override void ProcessRecord()
    {
        foreach (string path in Path)
        {
            WriteObject(ParameterSetName switch
            {
                "Leaf" => SessionState.Path.ParseChildName(path),
                "LeafBase" => FilePath.GetFileNameWithoutExtension(path),
                "Extension" => FilePath.GetExtension(path),
                "IsAbsolute" => SessionState.Path.IsPSAbsolute(path, out _),
                _ => SessionState.Path.ParseParent(path, string.Empty),
            });
        }
    }
}

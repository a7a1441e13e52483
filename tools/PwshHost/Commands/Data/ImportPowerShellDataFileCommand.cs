using System.Management.Automation;
using System.Management.Automation.Language;

namespace PwshHost.Commands.Data;

[Cmdlet(VerbsData.Import, "PowerShellDataFile")]
public sealed class ImportPowerShellDataFileCommand : PSCmdlet
{
    [Parameter(Mandatory = true, Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [Alias("LiteralPath", "PSPath")]
    public string[] Path { get; set; } = [];

    protected override void ProcessRecord()
    {
        foreach (string path in Path)
        {
            string file = GetUnresolvedProviderPathFromPSPath(path);
            ScriptBlockAst tree = Parser.ParseFile(file, out _, out ParseError[] errors);
            if (errors.Length > 0 || tree.Find(node => node is HashtableAst, searchNestedScriptBlocks: false) is not HashtableAst table)
            {
                ThrowTerminatingError(new ErrorRecord(
                    new InvalidOperationException($"The file '{file}' is not a PowerShell data file."), "CouldNotParseAsPowerShellDataFile", ErrorCategory.InvalidData, file));
                return;
            }

            WriteObject(table.SafeGetValue());
        }
    }
}

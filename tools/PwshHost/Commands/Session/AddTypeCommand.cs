using System.Management.Automation;
using System.Reflection;

namespace PwshHost.Commands.Session;

/// <summary>Loads an assembly; compiling source is not supported.</summary>
[Cmdlet(VerbsCommon.Add, "Type")]
public sealed class AddTypeCommand : PSCmdlet
{
    [Parameter(Mandatory = true, ParameterSetName = "Path")]
    [Alias("LiteralPath")]
    public string[] Path { get; set; } = [];

    [Parameter(Mandatory = true, ParameterSetName = "AssemblyName")]
    public string[] AssemblyName { get; set; } = [];

    [Parameter]
    public SwitchParameter PassThru { get; set; }

    protected override void EndProcessing()
    {
        Assembly[] loaded = ParameterSetName == "Path"
            ? [.. Path.Select(p => Assembly.LoadFrom(GetUnresolvedProviderPathFromPSPath(p)))]
            : [.. AssemblyName.Select(Assembly.Load)];
        if (PassThru)
        {
            WriteObject(loaded.SelectMany(a => a.GetExportedTypes()), enumerateCollection: true);
        }
    }
}

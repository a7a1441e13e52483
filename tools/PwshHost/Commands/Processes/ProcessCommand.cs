using System.Diagnostics;
using System.Management.Automation;

namespace PwshHost.Commands.Processes;

/// <summary>A command on running processes, given by id, by name (wildcards allowed) or as objects.</summary>
public abstract class ProcessCommand : PSCmdlet
{
    [Parameter(Position = 0, ParameterSetName = "Name", ValueFromPipelineByPropertyName = true)]
    [Alias("ProcessName")]
    public string[] Name { get; set; } = [];

    [Parameter(Mandatory = true, ParameterSetName = "Id", ValueFromPipelineByPropertyName = true)]
    [Alias("PID")]
    public int[] Id { get; set; } = [];

    [Parameter(Mandatory = true, ParameterSetName = "InputObject", ValueFromPipeline = true)]
    public Process[] InputObject { get; set; } = [];

    private protected IEnumerable<Process> Find() => ParameterSetName switch
    {
        "Id" => Id.SelectMany(ById),
        "InputObject" => InputObject,
        _ => Name.Length == 0 ? Process.GetProcesses() : Name.SelectMany(ByName),
    };

    private IEnumerable<Process> ById(int id)
    {
        try
        {
            return [Process.GetProcessById(id)];
        }
        catch (ArgumentException)
        {
            WriteNotFound($"Cannot find a process with the process identifier {id}.", "NoProcessFoundForGivenId", id);
            return [];
        }
    }

    private IEnumerable<Process> ByName(string name)
    {
        var pattern = WildcardPattern.Get(name, WildcardOptions.IgnoreCase);
        Process[] found = [.. Process.GetProcesses().Where(p => pattern.IsMatch(p.ProcessName)).OrderBy(p => p.Id)];
        if (found.Length == 0 && !WildcardPattern.ContainsWildcardCharacters(name))
        {
            WriteNotFound($"Cannot find a process with the name \"{name}\".", "NoProcessFoundForGivenName", name);
        }

        return found;
    }

    private void WriteNotFound(string message, string errorId, object target) =>
        WriteError(new ErrorRecord(new InvalidOperationException(message), errorId, ErrorCategory.ObjectNotFound, target));
}

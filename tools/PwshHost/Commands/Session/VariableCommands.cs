using System.Management.Automation;

namespace PwshHost.Commands.Session;

[Cmdlet(VerbsCommon.Get, "Variable")]
public sealed class GetVariableCommand : PSCmdlet
{
    [Parameter(Mandatory = true, Position = 0, ValueFromPipeline = true)]
    public string[] Name { get; set; } = [];

    [Parameter]
    public SwitchParameter ValueOnly { get; set; }

    /// <summary>A scope's name, such as Global.</summary>
    [Parameter]
    public string? Scope { get; set; }

    protected override void ProcessRecord()
    {
        foreach (string name in Name)
        {
            if (SessionState.PSVariable.Get(VariableName.In(Scope, name)) is not { } variable)
            {
                WriteError(new ErrorRecord(
                    new ItemNotFoundException($"Cannot find a variable with the name '{name}'."), "VariableNotFound", ErrorCategory.ObjectNotFound, name));
                continue;
            }

            WriteObject(ValueOnly ? variable.Value : variable);
        }
    }
}

[Cmdlet(VerbsCommon.Set, "Variable")]
public sealed class SetVariableCommand : PSCmdlet
{
    [Parameter(Mandatory = true, Position = 0)]
    public string[] Name { get; set; } = [];

    [Parameter(Position = 1, ValueFromPipeline = true)]
    public object? Value { get; set; }

    /// <summary>A scope's name, such as Global.</summary>
    [Parameter]
    public string? Scope { get; set; }

    protected override void ProcessRecord()
    {
        foreach (string name in Name)
        {
            SessionState.PSVariable.Set(VariableName.In(Scope, name), Value);
        }
    }
}

internal static class VariableName
{
    public static string In(string? scope, string name) => scope is null ? name : $"{scope}:{name}";
}

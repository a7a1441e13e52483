using System.Collections.ObjectModel;
using System.Globalization;
using System.Management.Automation;
using System.Management.Automation.Runspaces;
using Ublk.PowerShell;
using Pwsh = System.Management.Automation.PowerShell;

namespace Ublk.Tests.PowerShell;

/// <summary>A PowerShell in this process that has the cmdlets and their views, and a user who answers prompts as told.</summary>
internal sealed class CmdletSession : IDisposable
{
    private readonly Runspace _runspace;

    /// <summary>Starts one.</summary>
    /// <param name="answer">The label's letter that answers each prompt: Y, A, N or L. Null where a prompt is a failure.</param>
    public CmdletSession(char? answer = null)
    {
        Host = new PromptHost(answer);
        InitialSessionState state = InitialSessionState.CreateDefault2();
        string module = Path.Combine(Repository.Root, "src", "Ublk.PowerShell", "Module");
        state.Formats.Add(new SessionStateFormatEntry(Path.Combine(module, "Ublk.Format.ps1xml")));
        state.Types.Add(new SessionStateTypeEntry(Path.Combine(module, "Ublk.Types.ps1xml")));
        _runspace = RunspaceFactory.CreateRunspace(Host, state);
        _runspace.Open();
        Run("$ConfirmPreference = 'High'");
        using Pwsh shell = Pwsh.Create(_runspace);
        shell.AddCommand("Import-Module").AddParameter("Assembly", typeof(HumanSize).Assembly).Invoke();
    }

    /// <summary>What was asked and said on the console.</summary>
    public PromptHost Host { get; }

    /// <summary>The errors of the last script.</summary>
    public Collection<ErrorRecord> Errors { get; private set; } = [];

    /// <summary>Runs a script that finds its arguments in $args; returns what it wrote.</summary>
    public Collection<PSObject> Run(string script, params object?[] arguments)
    {
        using Pwsh shell = Pwsh.Create(_runspace);
        shell.AddScript(script);
        foreach (object? argument in arguments)
        {
            shell.AddArgument(argument);
        }

        Collection<PSObject> output = shell.Invoke();
        Errors = shell.Streams.Error.ReadAll();
        return output;
    }

    /// <summary>Objects as a console of so many columns shows them.</summary>
    public string Show(object value, int width = 80, string command = "Out-Default") =>
        string.Concat(Run($"$args[0] | {command} | Out-String -Width {width.ToString(CultureInfo.InvariantCulture)}", value))
            .ReplaceLineEndings("\n");

    /// <inheritdoc/>
    public void Dispose() => _runspace.Dispose();
}

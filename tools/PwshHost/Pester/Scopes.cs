using System.Collections;
using System.Management.Automation;
using System.Management.Automation.Language;
using System.Runtime.ExceptionServices;
using System.Text.RegularExpressions;

namespace PwshHost.Pester;

/// <summary>
/// Runs the script blocks of a spec in scopes of the session that called Invoke-Pester, so that what BeforeAll sets is
/// visible in the tests below it and gone after them.
/// </summary>
internal sealed partial class Scopes(PSCmdlet caller)
{
    private static readonly ScriptBlock CallInNewScope = ScriptBlock.Create("$args[0].Invoke()");

    // Inside a try, an error that would only end a statement ends the whole block, as it should in a test.
    private static readonly ScriptBlock CallFile = ScriptBlock.Create("try { $null = & $args[0] } catch { throw }");

    /// <summary>Calls <paramref name="action"/> in a new scope, and throws what it throws.</summary>
    public void Enter(Action action)
    {
        // The language would wrap an exception that passes through a method call.
        Exception? failure = null;
        caller.InvokeCommand.InvokeScript(true, CallInNewScope, null, (Action)(() =>
        {
            try
            {
                action();
            }
            catch (Exception error)
            {
                failure = error;
            }
        }));
        if (failure is not null)
        {
            ExceptionDispatchInfo.Throw(failure);
        }
    }

    /// <summary>Runs <paramref name="script"/> in the current scope, its parameters filled from <paramref name="data"/>.</summary>
    public void Run(ScriptBlock script, object? data = null)
    {
        object?[] arguments = [];
        if (AsTable(data) is { } table && ((ScriptBlockAst)script.Ast).ParamBlock is { } parameters)
        {
            arguments = [.. parameters.Parameters.Select(p => table[p.Name.VariablePath.UserPath])];
        }

        string call = string.Concat(Enumerable.Range(1, arguments.Length).Select(i => $" $args[{i}]"));
        var dotSource = ScriptBlock.Create($"try {{ $null = . $args[0]{call} }} catch {{ throw }}");
        caller.InvokeCommand.InvokeScript(false, dotSource, null, [script, .. arguments]);
    }

    public void RunFile(string path) => caller.InvokeCommand.InvokeScript(false, CallFile, null, path);

    /// <summary>An item of -ForEach is $_, and where it is a dictionary each key is a variable too.</summary>
    public void SetData(object? data)
    {
        if (data is null)
        {
            return;
        }

        Set("_", data);
        foreach (DictionaryEntry entry in AsTable(data) ?? new Hashtable())
        {
            Set(entry.Key.ToString()!, entry.Value);
        }
    }

    public void Set(string name, object? value) => caller.SessionState.PSVariable.Set(name, value);

    /// <summary>A name with its &lt;expression&gt; parts evaluated in the current scope.</summary>
    public string Expand(string name)
    {
        if (!name.Contains('<'))
        {
            return name;
        }

        string text = Template().Replace(name.Replace("`", "``").Replace("$", "`$").Replace("\"", "`\""), "$$($$$1)");
        return caller.InvokeCommand.InvokeScript(false, ScriptBlock.Create($"\"{text}\""), null)[0].ToString();
    }

    private static IDictionary? AsTable(object? data) => (data is PSObject wrapped ? wrapped.BaseObject : data) as IDictionary;

    [GeneratedRegex("<([^<>]+)>")]
    private static partial Regex Template();
}

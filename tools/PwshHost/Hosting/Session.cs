using System.Management.Automation;
using System.Management.Automation.Language;
using System.Management.Automation.Runspaces;
using System.Text.RegularExpressions;

namespace PwshHost.Hosting;

/// <summary>One runspace with the missing commands added, which runs one command line to its end.</summary>
internal sealed partial class Session
{
    private readonly ConsoleHost _host = ConsoleHost.Current;

    /// <summary>Returns the exit code pwsh would return: that of <c>exit</c>, 1 for an uncaught error, else 0.</summary>
    public int Run(CommandLine commandLine)
    {
        using Runspace runspace = RunspaceFactory.CreateRunspace(_host, CommandCatalog.CreateSessionState());
        Runspace.DefaultRunspace = runspace;
        runspace.ThreadOptions = PSThreadOptions.UseCurrentThread;
        runspace.Open();

        try
        {
            using Pipeline pipeline = runspace.CreatePipeline();
            Console.CancelKeyPress += (_, e) =>
            {
                e.Cancel = true;
                pipeline.StopAsync();
            };
            pipeline.Commands.AddScript(ToScript(commandLine), useLocalScope: false);
            pipeline.Commands[0].MergeMyResults(PipelineResultTypes.Error, PipelineResultTypes.Output);
            pipeline.Commands.Add("Out-Default");
            pipeline.Invoke();
        }
        catch (RuntimeException error)
        {
            Report(runspace, error.ErrorRecord);
            return _host.ExitCode ?? 1;
        }

        return _host.ExitCode ?? 0;
    }

    // As in pwsh, a script runs in the global scope. Its script block is called rather than the file: `exit` ends a script
    // file quietly, but a script block's reaches the host with its code. Arguments that don't bind are an error of the
    // call itself, which has no script.
    private static string ToScript(CommandLine commandLine)
    {
        if (commandLine.File is null)
        {
            return commandLine.Command!;
        }

        string path = Path.GetFullPath(commandLine.File);
        Parser.ParseFile(path, out _, out ParseError[] errors);
        if (errors.Length > 0)
        {
            throw new ParseException(errors);
        }

        IEnumerable<string> arguments = commandLine.Arguments.Select(a => ParameterName().IsMatch(a) ? a : Quote(a));
        return $$"""
            . (Get-Command -Name {{Quote(path)}} -CommandType ExternalScript).ScriptBlock {{string.Join(' ', arguments)}}
            if ($Error -and $Error[0].Exception -is [Management.Automation.ParameterBindingException] -and -not $Error[0].InvocationInfo.ScriptName) { exit 1 }
            """;
    }

    private static string Quote(string text) => $"'{CodeGeneration.EscapeSingleQuotedStringContent(text)}'";

    [GeneratedRegex(@"^-[a-zA-Z]\w*(:\$(true|false))?$", RegexOptions.IgnoreCase)]
    private static partial Regex ParameterName();

    private static void Report(Runspace runspace, ErrorRecord error)
    {
        using Pipeline pipeline = runspace.CreatePipeline();
        pipeline.Commands.Add("Out-Default");
        var record = PSObject.AsPSObject(error);
        record.Properties.Add(new PSNoteProperty("writeErrorStream", true));
        pipeline.Invoke(new[] { record });
    }
}

using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;
using System.CommandLine.Parsing;

namespace Ublk.CommandLine;

/// <summary>The command <c>ublk</c>: its verbs, and how its errors and exit codes look.</summary>
internal static class UblkProgram
{
    /// <summary>The verbs.</summary>
    public static RootCommand Root { get; } = CreateRoot();

    /// <summary>Runs one command line.</summary>
    /// <param name="arguments">The arguments.</param>
    /// <param name="output">Where results go.</param>
    /// <param name="error">Where errors go.</param>
    /// <returns>The exit code.</returns>
    public static int Run(string[] arguments, TextWriter output, TextWriter error)
    {
        if (arguments is [])
        {
            error.WriteLine("ublk: a command is missing; 'ublk help' lists them");
            return ExitCode.Usage;
        }

        ParseResult result = Root.Parse(arguments);
        if (result.Action is ParseErrorAction)
        {
            foreach (ParseError problem in result.Errors)
            {
                error.WriteLine($"ublk: {problem.Message}");
            }

            string verb = result.CommandResult.Command is RootCommand ? "" : $" {result.CommandResult.Command.Name}";
            error.WriteLine($"'ublk{verb} --help' lists the options");
            return ExitCode.Usage;
        }

        try
        {
            return result.Invoke(new InvocationConfiguration
            {
                Output = output,
                Error = error,
                EnableDefaultExceptionHandler = false,
                ProcessTerminationTimeout = null,
            });
        }
        catch (UblkException exception)
        {
            error.WriteLine($"ublk: {ErrorText.Of(exception)}");
            return ExitCode.Of(exception);
        }
        catch (OperationCanceledException)
        {
            return ExitCode.Interrupted;
        }
    }

    private static RootCommand CreateRoot()
    {
        RootCommand root = new("Makes, lists, recovers, updates, monitors and deletes ublk devices.");

        // In the place of those that System.CommandLine adds, which have names of another system besides.
        root.Options.Clear();
        root.Options.Add(new HelpOption("--help", "-h"));
        root.Options.Add(new VersionOption("--version", "-v") { Action = new PrintAction(() => $"ublk {EngineVersion.Text}") });
        root.Subcommands.Add(AddCommand.Create());
        root.Subcommands.Add(DeleteCommand.Create());
        root.Subcommands.Add(ListCommand.Create());
        root.Subcommands.Add(RecoverCommand.Create());
        root.Subcommands.Add(UpdateCommand.Create());
        root.Subcommands.Add(AffinityCommand.Create());
        root.Subcommands.Add(FeaturesCommand.Create());
        root.Subcommands.Add(MetricsCommand.Create());
        root.Subcommands.Add(LogCommand.Create());
        root.Subcommands.Add(HelpCommand.Create(root));
        return root;
    }
}

using System.CommandLine;
using Ublk.Catalog;
using Ublk.Targets;

namespace Ublk.CommandLine;

/// <summary><c>ublk help</c>: the verbs, or the options of a target.</summary>
internal static class HelpCommand
{
    /// <summary>The command.</summary>
    /// <param name="root">All commands.</param>
    public static Command Create(RootCommand root)
    {
        Option<string?> type = TypeOption.Create("The target whose options to show.");
        Command command = new("help", "Shows the verbs, or the options of a target.") { type };
        command.SetAction(result =>
        {
            TextWriter output = result.InvocationConfiguration.Output;
            if (result.GetValue(type) is { } name)
            {
                Write(output, TargetCatalog.Find(name));
                return ExitCode.Done;
            }

            int code = root.Parse(["--help"]).Invoke(result.InvocationConfiguration);
            output.WriteLine("The targets, for 'ublk help -t TYPE':");
            foreach (TargetDefinition target in TargetCatalog.All)
            {
                output.WriteLine($"  {target.Name.ToLowerInvariant(),-6} {target.Summary}");
            }

            return code;
        });
        return command;
    }

    private static void Write(TextWriter output, TargetDefinition target)
    {
        output.WriteLine($"ublk add -t {target.Name.ToLowerInvariant()} [OPTIONS]: {target.Summary}");
        output.WriteLine();
        foreach (TargetOption declared in target.Options)
        {
            Write(output, TargetArgument.Of(declared).Option, TargetArgument.DescriptionOf(declared));
        }

        foreach (Option option in target.Options.Any(declared => declared.Name == NbdArgument.UriName) ? NbdArgument.All : [])
        {
            Write(output, option, option.Description!);
        }

        output.WriteLine();
        output.WriteLine("'ublk add --help' lists the options of all devices.");
    }

    private static void Write(TextWriter output, Option option, string description)
    {
        output.WriteLine($"  {string.Join(", ", option.Aliases.Prepend(option.Name))} {option.HelpName}");
        output.WriteLine($"      {description}");
    }
}

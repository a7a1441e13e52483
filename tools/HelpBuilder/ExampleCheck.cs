using System.Management.Automation.Language;

namespace Ublk.HelpBuilder;

/// <summary>Whether what a page tells its reader to type is PowerShell, and calls the cmdlets as they are.</summary>
/// <param name="cmdlets">The cmdlets there are.</param>
internal sealed class ExampleCheck(IEnumerable<Cmdlet> cmdlets)
{
    private const string Noun = "-Ublk";

    private readonly Dictionary<string, Cmdlet> _cmdlets = cmdlets.ToDictionary(cmdlet => cmdlet.Name, StringComparer.OrdinalIgnoreCase);

    /// <summary>Checks one piece of code.</summary>
    /// <exception cref="HelpException">It does not parse, or calls a cmdlet or gives a parameter that does not exist.</exception>
    public void Check(string file, string code)
    {
        Ast ast = Parser.ParseInput(code, out _, out ParseError[] errors);
        string? problem = errors.Length > 0
            ? errors[0].Message
            : ast.FindAll(node => node is CommandAst, searchNestedScriptBlocks: true).Cast<CommandAst>().Select(ProblemOf)
                .FirstOrDefault(found => found is not null);
        if (problem is not null)
        {
            throw new HelpException($"{file}: {problem}\n{code}");
        }
    }

    private string? ProblemOf(CommandAst command)
    {
        if (command.GetCommandName() is not { } name || !name.Contains(Noun, StringComparison.OrdinalIgnoreCase))
        {
            return null;
        }

        if (!_cmdlets.TryGetValue(name, out Cmdlet? cmdlet))
        {
            return $"There is no cmdlet {name}.";
        }

        string[] given = [.. command.CommandElements.OfType<CommandParameterAst>().Select(parameter => parameter.ParameterName)];

        // The options of a target in an assembly are parameters, too, and only the assembly knows them.
        string? unknown = given.Contains("Assembly", StringComparer.OrdinalIgnoreCase)
            ? null
            : given.FirstOrDefault(parameter => !cmdlet.Accepts(parameter));
        return unknown is null ? null : $"{name} has no parameter -{unknown}.";
    }
}

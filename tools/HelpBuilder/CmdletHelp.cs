namespace Ublk.HelpBuilder;

/// <summary>
/// A cmdlet with what the pages say of it. What its own page leaves out is taken from the page of the base class that has it, and for
/// an option of a target from the target.
/// </summary>
internal sealed class CmdletHelp
{
    private readonly string _folder;

    private CmdletHelp(string folder, Cmdlet cmdlet)
    {
        _folder = folder;
        Cmdlet = cmdlet;
        string file = Path.Combine(folder, $"{cmdlet.Name}.md");
        Page = File.Exists(file) ? HelpPage.Read(file) : throw new HelpException($"{cmdlet.Name} has no page: {file} is missing.");
        Check(file);
    }

    /// <summary>The cmdlet.</summary>
    public Cmdlet Cmdlet { get; }

    /// <summary>The page about it.</summary>
    public HelpPage Page { get; }

    /// <summary>What it takes.</summary>
    public IReadOnlyList<HelpType> Inputs => Page.Inputs.Count > 0 ? Page.Inputs : PageOf(Cmdlet.Type.BaseType!)?.Inputs ?? [];

    /// <summary>What it gives.</summary>
    public IReadOnlyList<HelpType> Outputs => Page.Outputs.Count > 0 ? Page.Outputs : PageOf(Cmdlet.Type.BaseType!)?.Outputs ?? [];

    /// <summary>Reads the pages of all cmdlets.</summary>
    /// <exception cref="HelpException">Something has no help, or a page speaks of something that is not there.</exception>
    public static IReadOnlyList<CmdletHelp> ReadAll(string folder, IReadOnlyList<Cmdlet> cmdlets) =>
        [.. cmdlets.Select(cmdlet => new CmdletHelp(folder, cmdlet))];

    /// <summary>What is said of a parameter; nothing if nobody says anything.</summary>
    public IReadOnlyList<string> Describe(CmdletParameter parameter)
    {
        string name = parameter.Info.Name;
        if (Page.Parameters.TryGetValue(name, out IReadOnlyList<string>? own))
        {
            return own;
        }

        IReadOnlyList<string> text = PageOf(parameter.Owner)?.Parameters.GetValueOrDefault(name)
            ?? (string.IsNullOrEmpty(parameter.Info.HelpMessage) ? [] : [parameter.Info.HelpMessage]);
        return parameter.Targets.Count == 0 || text.Count == 0 ? text : [$"{For(parameter.Targets)} {text[0]}", .. text.Skip(1)];
    }

    private static string For(IReadOnlyList<string> targets) => targets is [string only]
        ? $"For the {only} target."
        : $"For the targets {string.Join(", ", targets.SkipLast(1))} and {targets[^1]}.";

    private HelpPage? PageOf(Type type)
    {
        string file = Path.Combine(_folder, "shared", $"{type.Name}.md");
        return File.Exists(file) ? HelpPage.Read(file) : null;
    }

    private void Check(string file)
    {
        string[] unhelped =
            [.. Cmdlet.Parameters.Where(parameter => Describe(parameter).Count == 0).Select(parameter => parameter.Info.Name)];
        string[] unknown = [.. Page.Parameters.Keys.Except(Cmdlet.Parameters.Select(parameter => parameter.Info.Name))];
        string problem = this switch
        {
            _ when Page.Title != Cmdlet.Name => $"its heading is '{Page.Title}'",
            _ when Page.Introduction.Count < 2 => "a sentence that says it all, or the description is missing",
            _ when unhelped.Length > 0 => $"no help for -{string.Join(", -", unhelped)}",
            _ when unknown.Length > 0 => $"there is no parameter {string.Join(", ", unknown)}",
            _ when Page.Examples.Count < 3 => "fewer than three examples",
            _ when Page.Examples.Any(example => example.Remarks.Count == 0) => "an example without a word about it",
            _ => "",
        };
        if (problem.Length > 0)
        {
            throw new HelpException($"{file}: {problem}.");
        }
    }
}

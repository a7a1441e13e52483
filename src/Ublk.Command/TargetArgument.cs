using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using System.Text.Json;
using Ublk.Catalog;
using Ublk.Specification;
using Ublk.Targets;

namespace Ublk.CommandLine;

/// <summary>An option of a target as an option of the command line. The engine's catalogue says which there are.</summary>
internal sealed class TargetArgument
{
    // The reference server counts it in sectors.
    private const string Offset = "Offset";
    private const int SectorShift = 9;

    private readonly TargetOption _declared;

    private TargetArgument(TargetOption declared)
    {
        _declared = declared;
        Option = new Option<string?>($"--{NameOf(declared.Name)}", AliasesOf(declared.Name))
        {
            Description = DescriptionOf(declared),
            HelpName = declared.Kind == TargetOptionKind.Boolean ? "BOOL" : declared.Kind.ToString().ToUpperInvariant(),
            Arity = declared.Kind == TargetOptionKind.Boolean ? ArgumentArity.ZeroOrOne : ArgumentArity.ExactlyOne,
        };
        Option.CompletionSources.Add([.. declared.Choices.Select(choice => choice.ToLowerInvariant())]);
    }

    /// <summary>The options of all targets; each name is there once.</summary>
    public static IReadOnlyList<TargetArgument> All { get; } =
    [
        .. TargetCatalog.All.SelectMany(target => target.Options).DistinctBy(option => option.Name)
            .Select(option => new TargetArgument(option)),
    ];

    /// <summary>The option of the command line.</summary>
    public Option<string?> Option { get; }

    /// <summary>The argument for an option of a target.</summary>
    public static TargetArgument Of(TargetOption option) => All.First(argument => argument._declared.Name == option.Name);

    /// <summary>The name of an option in this command's style: <c>direct_io</c> for <c>DirectIO</c>.</summary>
    public static string NameOf(string name) => JsonNamingPolicy.SnakeCaseLower.ConvertName(name);

    /// <summary>A value of a specification as this command shows it.</summary>
    public static string TextOf(string name, string value) =>
        name == Offset && long.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out long bytes)
            ? (bytes >> SectorShift).ToString(CultureInfo.InvariantCulture)
            : value;

    /// <summary>The help of an option.</summary>
    public static string DescriptionOf(TargetOption option)
    {
        string help = option.Name == Offset ? "The offset of the disk in the file, in sectors of 512 bytes; 0 by default."
            : ErrorText.WithOptions(option.Help);
        return option.Choices.Count > 0 ? $"{help} Choices: {string.Join(", ", option.Choices)}." : help;
    }

    /// <summary>Adds what was given to the options of a specification.</summary>
    /// <exception cref="UblkException">The value cannot be read.</exception>
    public void Read(ParseResult result, Dictionary<string, string> options)
    {
        if (result.GetResult(Option) is { Implicit: false } given)
        {
            options[_declared.Name] = Convert(given);
        }
    }

    // The engine refuses a value of the wrong kind, so it stays as it is.
    private string Convert(OptionResult given)
    {
        string text = given.Tokens is [Token token, ..] ? token.Value : "true";
        return _declared switch
        {
            { Name: Offset } when long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out long sectors) =>
                (sectors << SectorShift).ToString(CultureInfo.InvariantCulture),
            { Kind: TargetOptionKind.Path } when text.Length > 0 => Path.GetFullPath(text),
            { Kind: TargetOptionKind.Size } => SizeText.Parse(Option.Name, text).ToString(CultureInfo.InvariantCulture),
            { Kind: TargetOptionKind.Command } when !text.StartsWith('[') =>
                CommandText.Format(text.Split(' ', StringSplitOptions.RemoveEmptyEntries)),
            { Kind: TargetOptionKind.Boolean } => text switch { "0" => "false", "1" => "true", _ => text },
            _ => text,
        };
    }

    // The reference server's names.
    private static string[] AliasesOf(string name) => name switch
    {
        DeviceSpecification.BackingPathOption => ["--file", "-f"],
        "Size" => ["-s"],
        Offset => ["-o"],
        _ => [],
    };
}

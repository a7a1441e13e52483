using System.Globalization;

namespace Ublk.Targets;

/// <summary>How an option's value is read.</summary>
public enum TargetOptionKind
{
    /// <summary>The path of an existing file.</summary>
    Path,

    /// <summary>Any text that is not empty.</summary>
    Text,

    /// <summary>A number of bytes.</summary>
    Size,

    /// <summary>True or false.</summary>
    Boolean,

    /// <summary>A whole number, not negative.</summary>
    Number,

    /// <summary>A share of a whole, from 0 to 1.</summary>
    Fraction,

    /// <summary>One of the option's choices.</summary>
    Choice,

    /// <summary>Any of the option's choices, with commas between them.</summary>
    Choices,

    /// <summary>A program and its arguments, as an array in JSON.</summary>
    Command,
}

/// <summary>An option a target declares.</summary>
/// <param name="Name">Its name, as the parameter of <c>New-UblkDevice</c> is called.</param>
/// <param name="Kind">How its value is read.</param>
/// <param name="Help">One line for the user.</param>
/// <param name="IsMandatory">Whether the target cannot do without.</param>
public sealed record TargetOption(string Name, TargetOptionKind Kind, string Help, bool IsMandatory = false)
{
    /// <summary>What a choice is made from.</summary>
    public IReadOnlyList<string> Choices { get; init; } = [];

    /// <summary>Finds what may be given where a part of it is typed; null where that takes no look.</summary>
    internal Func<string, IReadOnlyList<string>>? FindCompletions { get; init; }

    /// <summary>Checks values against the options that somebody declares.</summary>
    /// <param name="owner">Whose they are, as the subject of a sentence.</param>
    /// <param name="options">What is declared.</param>
    /// <param name="values">What is given, by name.</param>
    /// <exception cref="UblkException">An option is unknown, missing or malformed.</exception>
    internal static void Check(string owner, IReadOnlyList<TargetOption> options, IReadOnlyDictionary<string, string> values)
    {
        foreach ((string name, string value) in values)
        {
            string known = options.Count == 0
                ? "It has no options."
                : $"Its options: {string.Join(", ", options.Select(option => option.Name))}.";
            TargetOption option = Find(options, name)
                ?? throw new UblkException(UblkError.UnsupportedOption, $"{owner} has no option {name}. {known}");
            option.Check(value);
        }

        foreach (TargetOption option in options)
        {
            if (option.IsMandatory && !values.Keys.Any(name => option.IsNamed(name)))
            {
                throw new UblkException(UblkError.InvalidArgument, $"{owner} needs a {option.Name}: {option.Help}");
            }
        }
    }

    /// <summary>The option of a name, in any casing, or null.</summary>
    internal static TargetOption? Find(IEnumerable<TargetOption> options, string name) =>
        options.FirstOrDefault(option => option.IsNamed(name));

    /// <summary>The option's name.</summary>
    public override string ToString() => Name;

    private bool IsNamed(string name) => string.Equals(Name, name, StringComparison.OrdinalIgnoreCase);

    /// <summary>Checks that a value can be read as this option's kind.</summary>
    /// <exception cref="UblkException">It cannot.</exception>
    private void Check(string value)
    {
        bool readable = Kind switch
        {
            TargetOptionKind.Size or TargetOptionKind.Number =>
                long.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out _),
            TargetOptionKind.Boolean => bool.TryParse(value, out _),
            TargetOptionKind.Fraction =>
                double.TryParse(value, NumberStyles.Float, CultureInfo.InvariantCulture, out double share) && share is >= 0 and <= 1,
            TargetOptionKind.Choice => IsChoice(value),
            TargetOptionKind.Choices => value.Split(',').All(IsChoice),
            TargetOptionKind.Command => CommandText.TryParse(value) is [{ Length: > 0 }, ..],
            _ => value.Length > 0,
        };
        if (!readable)
        {
            string choices = Choices.Count > 0 ? $" Choose from: {string.Join(", ", Choices)}." : "";
            throw new UblkException(UblkError.InvalidArgument, $"'{value}' is not a valid value for {Name}: {Help}{choices}");
        }
    }

    private bool IsChoice(string value) => Choices.Contains(value, StringComparer.OrdinalIgnoreCase);
}

using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;

namespace Ublk.CommandLine;

/// <summary>Options that take a whole number.</summary>
internal static class NumberOption
{
    /// <summary>An option.</summary>
    /// <param name="helpName">What the help calls its value.</param>
    /// <param name="description">Its help.</param>
    /// <param name="name">Its name.</param>
    /// <param name="aliases">Its other names.</param>
    public static Option<int?> Create(string helpName, string description, string name, params string[] aliases) => new(name, aliases)
    {
        Description = description,
        HelpName = helpName,
        CustomParser = result => Parse(result, name),
    };

    private static int? Parse(ArgumentResult result, string name)
    {
        string text = result.Tokens[0].Value;
        if (int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out int number))
        {
            return number;
        }

        result.AddError($"'{text}' is not a valid number for {name}");
        return null;
    }
}

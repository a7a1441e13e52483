using System.Collections;
using System.Management.Automation;
using Ublk.Catalog;
using Ublk.Filters;
using Ublk.Specification;

namespace Ublk.PowerShell;

/// <summary>Filters as users give them: <c>'ReadOnly'</c>, <c>'Delay=5'</c>, <c>'ErrorRate=0.1;ErrorOn=Write'</c>, or a table such as
/// <c>@{ ErrorRate = 0.1; ErrorOn = 'Write' }</c>.</summary>
internal static class FilterArgument
{
    /// <summary>Reads a filter.</summary>
    /// <param name="value">What the user gave.</param>
    /// <param name="resolvePath">Makes a path absolute.</param>
    /// <exception cref="UblkException">The text is malformed.</exception>
    public static UblkFilter Read(object value, Func<string, string> resolvePath) =>
        (value is PSObject wrapped ? wrapped.BaseObject : value) switch
        {
            UblkFilter filter => filter,
            IDictionary table => Read(table, resolvePath),
            string text => Read(text, resolvePath),
            _ => throw Invalid($"'{value}' is not a filter: give its name, with a value as in 'Delay=5', or a table."),
        };

    private static UblkFilter Read(string text, Func<string, string> resolvePath)
    {
        Hashtable table = [];
        foreach (string part in text.Split(';', StringSplitOptions.TrimEntries))
        {
            int equals = part.IndexOf('=', StringComparison.Ordinal);
            table[equals < 0 ? part : part[..equals].TrimEnd()] = equals < 0 ? null : part[(equals + 1)..].TrimStart();
        }

        // By its first word, so that a filter that does not exist is named in the error.
        string first = text.Split(';', '=')[0].Trim();
        return Make(FilterCatalog.Find(first), table, resolvePath);
    }

    private static UblkFilter Read(IDictionary table, Func<string, string> resolvePath)
    {
        FilterDefinition[] named = [.. table.Keys.Cast<object>().Select(key => FilterCatalog.TryFind($"{key}")).OfType<FilterDefinition>()];
        return named switch
        {
            [FilterDefinition filter] => Make(filter, table, resolvePath),
            [] => throw Invalid($"A table must name one filter: {string.Join(", ", FilterCatalog.All.Select(filter => filter.Name))}. "
                + $"This one has {string.Join(", ", table.Keys.Cast<object>())}."),
            _ => throw Invalid(
                $"A table is one filter, and this one names {string.Join(" and ", named.Select(filter => filter.Name))}. "
                    + "Give each a table of its own."),
        };
    }

    // The name alone says all of a filter that needs no value.
    private static UblkFilter Make(FilterDefinition filter, IDictionary table, Func<string, string> resolvePath)
    {
        Hashtable options = new(table, StringComparer.OrdinalIgnoreCase);
        if (options[filter.Name] is null or true or SwitchParameter { IsPresent: true })
        {
            options.Remove(filter.Name);
        }

        UblkFilter made = new(filter.Name, OptionText.Of(options, filter.Options, resolvePath));
        FilterCatalog.Check(made);
        return made;
    }

    private static UblkException Invalid(string message) => new(UblkError.InvalidArgument, message);
}

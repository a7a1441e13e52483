using System.Collections;
using System.Globalization;
using System.Management.Automation;
using Ublk.Targets;

namespace Ublk.PowerShell;

/// <summary>The values of options as users give them, turned into the text form of specifications.</summary>
internal static class OptionText
{
    /// <summary>Turns a value into text.</summary>
    /// <param name="option">The option; null where it is unknown.</param>
    /// <param name="value">The value.</param>
    /// <param name="resolvePath">Makes a path absolute.</param>
    public static string Of(TargetOption? option, object? value, Func<string, string> resolvePath)
    {
        object? given = value is PSObject { BaseObject: not PSCustomObject } wrapped ? wrapped.BaseObject : value;
        return given switch
        {
            null => "",
            SwitchParameter flag => flag.IsPresent ? "true" : "false",
            bool flag => flag ? "true" : "false",
            string path when option?.Kind == TargetOptionKind.Path => path.Length > 0 ? resolvePath(path) : path,

            // '64MB' is a number wherever PowerShell expects one.
            string size when option?.Kind == TargetOptionKind.Size && LanguagePrimitives.TryConvertTo(size, out long bytes) => Text(bytes),
            string program when option?.Kind == TargetOptionKind.Command => CommandText.Format([program]),
            string text => text,
            IEnumerable words when option?.Kind == TargetOptionKind.Command =>
                CommandText.Format(words.Cast<object?>().Select(word => Of(null, word, resolvePath))),
            IEnumerable list => string.Join(',', list.Cast<object?>().Select(item => Of(option, item, resolvePath))),
            double whole when option?.Kind is TargetOptionKind.Size or TargetOptionKind.Number && double.IsInteger(whole) =>
                Text((long)whole),
            _ => Text(given),
        };
    }

    /// <summary>Turns a table of values into text, by the options they are for.</summary>
    /// <exception cref="UblkException">A path is not one of the file system.</exception>
    public static Dictionary<string, string> Of(IDictionary values, IReadOnlyList<TargetOption>? options, Func<string, string> resolvePath)
    {
        Dictionary<string, string> texts = new(StringComparer.OrdinalIgnoreCase);
        foreach (DictionaryEntry entry in values)
        {
            string name = Text(entry.Key);
            texts[name] = Of(options is null ? null : TargetOption.Find(options, name), entry.Value, resolvePath);
        }

        return texts;
    }

    private static string Text(object value) => Convert.ToString(value, CultureInfo.InvariantCulture)!;
}

using System.Collections;
using System.Management.Automation;
using System.Text.RegularExpressions;

namespace PwshHost.Pester;

/// <summary>Should's operators, all but -Throw.</summary>
internal static class Assertions
{
    public static Outcome HaveCount(List<object?> values, object? expected)
    {
        // One collection passed as a single object counts by its items.
        int count = values.Count == 1 && Plain(values[0]) is ICollection items and not IDictionary ? items.Count : values.Count;
        return new(LanguagePrimitives.Equals(count, expected), $"a collection with size {expected}", $"got one with size {count}");
    }

    public static Outcome BeNullOrEmpty(List<object?> values)
    {
        bool holds = values.Count == 0 || (values.Count == 1 && IsNullOrEmpty(Plain(values[0])));
        return new(holds, "$null or empty", $"got {Text(values.Count == 1 ? values[0] : values)}");
    }

    public static Outcome Contain(List<object?> values, object? expected)
    {
        IEnumerable<object?> items = values.Count == 1 && Plain(values[0]) is IEnumerable list and not string ? list.Cast<object?>() : values;
        return new(items.Any(v => LanguagePrimitives.Equals(v, expected, ignoreCase: true)), $"{Text(expected)} to be found in collection {Text(items)}", "it was judged otherwise");
    }

    public static Outcome Exist(object? actual, ProviderIntrinsics provider) =>
        new(provider.Item.Exists(actual?.ToString() ?? string.Empty), $"path {Text(actual)} to exist", "it was judged otherwise");

    public static Outcome FileContentMatch(string file, object? expected)
    {
        bool holds = File.ReadLines(file).Any(line => Regex.IsMatch(line, $"{expected}", RegexOptions.IgnoreCase));
        return new(holds, $"{Text(expected)} to be found in file '{file}'", "it was judged otherwise");
    }

    /// <summary>The operators that compare one value with another; <paramref name="name"/> is Should's parameter.</summary>
    public static Outcome Compare(string name, object? actual, object? expected)
    {
        (bool holds, string what) = name switch
        {
            "Be" => (AreEqual(actual, expected, ignoreCase: true), Text(expected)),
            "BeExactly" => (AreEqual(actual, expected, ignoreCase: false), "exactly " + Text(expected)),
            "BeTrue" => (LanguagePrimitives.IsTrue(actual), "$true"),
            "BeFalse" => (!LanguagePrimitives.IsTrue(actual), "$false"),
            "BeLike" => (WildcardPattern.Get($"{expected}", WildcardOptions.IgnoreCase).IsMatch($"{actual}"), $"like wildcard {Text(expected)}"),
            "Match" => (Regex.IsMatch($"{actual}", $"{expected}", RegexOptions.IgnoreCase), $"regular expression {Text(expected)} to match"),
            "BeIn" => (Items(expected).Any(v => LanguagePrimitives.Equals(v, actual, ignoreCase: true)), $"collection {Text(expected)} to contain the value"),
            "BeGreaterThan" => (Order(actual, expected) > 0, $"the actual value to be greater than {Text(expected)}"),
            "BeGreaterOrEqual" => (Order(actual, expected) >= 0, $"the actual value to be greater than or equal to {Text(expected)}"),
            "BeLessThan" => (Order(actual, expected) < 0, $"the actual value to be less than {Text(expected)}"),
            "BeLessOrEqual" => (Order(actual, expected) <= 0, $"the actual value to be less than or equal to {Text(expected)}"),
            "BeOfType" => (IsOfType(actual, expected), $"the value to have type {Text(expected)}"),
            _ => throw new PSArgumentException($"Should has no operator -{name}."),
        };
        return new(holds, what, name == "BeOfType" ? $"got {Text(actual)} with type [{Plain(actual)?.GetType()}]" : $"got {Text(actual)}");
    }

    private static bool AreEqual(object? actual, object? expected, bool ignoreCase)
    {
        if (!IsList(actual) && !IsList(expected))
        {
            return LanguagePrimitives.Equals(actual, expected, ignoreCase);
        }

        object?[] left = [.. Items(actual)];
        object?[] right = [.. Items(expected)];
        return left.Length == right.Length && left.Zip(right).All(pair => AreEqual(pair.First, pair.Second, ignoreCase));
    }

    private static int Order(object? actual, object? expected) => LanguagePrimitives.Compare(actual, expected, ignoreCase: true);

    private static bool IsOfType(object? actual, object? expected)
    {
        // A bare [int] reaches a command as text.
        Type type = Plain(expected) as Type ?? LanguagePrimitives.ConvertTo<Type>($"{expected}".Trim('[', ']'));
        return type.IsInstanceOfType(Plain(actual)) || (type == typeof(PSCustomObject) && Plain(actual) is PSCustomObject);
    }

    private static bool IsNullOrEmpty(object? value) => value switch
    {
        null => true,
        string text => text.Length == 0,
        ICollection items => items.Count == 0,
        _ => false,
    };

    private static bool IsList(object? value) => Plain(value) is IList;

    private static IEnumerable<object?> Items(object? value) => Plain(value) is IList list ? list.Cast<object?>() : [value];

    private static object? Plain(object? value) => value is PSObject wrapped ? wrapped.BaseObject : value;

    private static string Text(object? value) => Plain(value) switch
    {
        null => "$null",
        string text => $"'{text}'",
        bool flag => flag ? "$true" : "$false",
        Type type => $"[{type}]",
        IEnumerable items and not IDictionary => $"@({string.Join(", ", items.Cast<object?>().Select(Text))})",
        _ => LanguagePrimitives.ConvertTo<string>(value),
    };
}

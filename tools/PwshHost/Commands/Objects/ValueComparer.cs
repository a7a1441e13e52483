using System.Management.Automation;

namespace PwshHost.Commands.Objects;

/// <summary>Orders and equates values the way the language's operators do; values that can't be compared go by their text.</summary>
internal sealed class ValueComparer(bool ignoreCase) : IComparer<object?>, IEqualityComparer<object?>
{
    public int Compare(object? x, object? y)
    {
        x = Plain(x);
        y = Plain(y);
        return LanguagePrimitives.TryCompare(x, y, ignoreCase, out int order)
            ? order
            : string.Compare(x?.ToString(), y?.ToString(), ignoreCase ? StringComparison.OrdinalIgnoreCase : StringComparison.Ordinal);
    }

    public new bool Equals(object? x, object? y) => LanguagePrimitives.Equals(Plain(x), Plain(y), ignoreCase);

    public int GetHashCode(object? value)
    {
        string text = Plain(value)?.ToString() ?? string.Empty;
        return ignoreCase ? StringComparer.OrdinalIgnoreCase.GetHashCode(text) : StringComparer.Ordinal.GetHashCode(text);
    }

    private static object? Plain(object? value) => value is PSObject { BaseObject: not PSCustomObject } wrapped ? wrapped.BaseObject : value;
}

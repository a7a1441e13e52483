using System.Collections;
using System.Management.Automation;
using Microsoft.PowerShell.Commands;

namespace PwshHost.Commands.Objects;

/// <summary>A -Property argument: a name (wildcards allowed), a script block, or a hashtable with Name, Expression and the like.</summary>
internal sealed class ObjectExpression
{
    private readonly PSPropertyExpression _expression;
    private readonly string? _label;

    public ObjectExpression(object argument)
    {
        object plain = argument is PSObject wrapped ? wrapped.BaseObject : argument;
        if (plain is IDictionary table)
        {
            _label = Entry(table, "Name", "Label", "N", "L")?.ToString();
            plain = Entry(table, "Expression", "E") ?? _label ?? throw new PSArgumentException("A calculated property needs an Expression.");
            plain = plain is PSObject inner ? inner.BaseObject : plain;
            Descending = Entry(table, "Descending") is { } value ? LanguagePrimitives.IsTrue(value) : null;
        }

        _expression = plain is ScriptBlock script ? new PSPropertyExpression(script) : new PSPropertyExpression(plain.ToString());
    }

    public bool? Descending { get; }

    /// <summary>The properties of <paramref name="item"/> this stands for, with their values; a plain name always gives one, null if missing.</summary>
    public IEnumerable<KeyValuePair<string, object?>> Resolve(PSObject item)
    {
        if (_expression.Script is null && _expression.HasWildCardCharacters)
        {
            foreach (PSPropertyExpression match in _expression.ResolveNames(item))
            {
                yield return new(match.ToString(), ValueOf(match, item));
            }
        }
        else
        {
            yield return new(_label ?? NameIn(item), ValueOf(_expression, item));
        }
    }

    public object? Value(PSObject item) => ValueOf(_expression, item);

    // A property keeps the spelling its object gives it.
    private string NameIn(PSObject item)
    {
        string name = _expression.ToString();
        return _expression.Script is null ? item.Properties[name]?.Name ?? name : name;
    }

    private static object? ValueOf(PSPropertyExpression expression, PSObject item) =>
        expression.GetValues(item) is [var result, ..] && result.Exception is null ? result.Result : null;

    private static object? Entry(IDictionary table, params string[] names) =>
        table.Keys.Cast<object>()
            .Where(key => names.Contains(key.ToString(), StringComparer.OrdinalIgnoreCase))
            .Select(key => table[key])
            .FirstOrDefault();
}

using System.Collections;
using System.Management.Automation;
using System.Text.Json;

namespace PwshHost.Commands.Data;

/// <summary>Writes any object as JSON: scalars as themselves, collections as arrays, dictionaries and other objects by their properties.</summary>
internal sealed class JsonWriting(Utf8JsonWriter writer, int maxDepth, bool enumsAsStrings)
{
    public void Write(object? value, int depth = 0)
    {
        object? plain = value is PSObject wrapped ? wrapped.BaseObject : value;
        if (WriteScalar(plain))
        {
            return;
        }

        if (depth > maxDepth)
        {
            writer.WriteStringValue(value!.ToString());
        }
        else if (plain is IDictionary dictionary)
        {
            WriteMembers(dictionary.Keys.Cast<object>().Select(k => (k.ToString()!, dictionary[k])), depth);
        }
        else if (plain is IEnumerable items)
        {
            writer.WriteStartArray();
            foreach (object? item in items)
            {
                Write(item, depth + 1);
            }

            writer.WriteEndArray();
        }
        else
        {
            WriteMembers(PSObject.AsPSObject(value!).Properties.Where(p => p.IsGettable).Select(p => (p.Name, ValueOf(p))), depth);
        }
    }

    private bool WriteScalar(object? value)
    {
        switch (value)
        {
            case null or DBNull:
                writer.WriteNullValue();
                return true;
            case string or char or Guid or Uri:
                writer.WriteStringValue(value.ToString());
                return true;
            case bool flag:
                writer.WriteBooleanValue(flag);
                return true;
            case SwitchParameter flag:
                writer.WriteBooleanValue(flag);
                return true;
            case DateTime or DateTimeOffset:
                JsonSerializer.Serialize(writer, value);
                return true;
            case Enum when enumsAsStrings:
                writer.WriteStringValue(value.ToString());
                return true;
            case Enum member:
                writer.WriteNumberValue(Convert.ToInt64(member));
                return true;
            case double number when !double.IsFinite(number):
                writer.WriteStringValue(number.ToString());
                return true;
            case double or float:
                writer.WriteRawValue(NumberText(Convert.ToDouble(value)));
                return true;
            case sbyte or byte or short or ushort or int or uint or long:
                writer.WriteNumberValue(Convert.ToInt64(value));
                return true;
            case ulong or decimal:
                writer.WriteNumberValue(Convert.ToDecimal(value));
                return true;
            default:
                return false;
        }
    }

    // A double stays recognisable as one: 1.0, not 1.
    private static string NumberText(double value)
    {
        string text = value.ToString("R");
        return text.Contains('.') || text.Contains('E') ? text : text + ".0";
    }

    private void WriteMembers(IEnumerable<(string Name, object? Value)> members, int depth)
    {
        writer.WriteStartObject();
        foreach ((string name, object? value) in members)
        {
            writer.WritePropertyName(name);
            Write(value, depth + 1);
        }

        writer.WriteEndObject();
    }

    private static object? ValueOf(PSPropertyInfo property)
    {
        try
        {
            return property.Value;
        }
        catch (GetValueException)
        {
            return null;
        }
    }
}

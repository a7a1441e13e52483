using System.Globalization;

namespace Ublk.Targets;

/// <summary>How an option's value is read.</summary>
public enum TargetOptionKind
{
    /// <summary>The path of an existing file.</summary>
    Path,

    /// <summary>A number of bytes.</summary>
    Size,

    /// <summary>True or false.</summary>
    Boolean,
}

/// <summary>An option a target declares.</summary>
/// <param name="Name">Its name, as the parameter of <c>New-UblkDevice</c> is called.</param>
/// <param name="Kind">How its value is read.</param>
/// <param name="Help">One line for the user.</param>
/// <param name="IsMandatory">Whether the target cannot do without.</param>
public sealed record TargetOption(string Name, TargetOptionKind Kind, string Help, bool IsMandatory = false)
{
    /// <summary>Checks that a value can be read as this option's kind.</summary>
    /// <exception cref="UblkException">It cannot.</exception>
    internal void Check(string value)
    {
        bool readable = Kind switch
        {
            TargetOptionKind.Size => long.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out _),
            TargetOptionKind.Boolean => bool.TryParse(value, out _),
            _ => value.Length > 0,
        };
        if (!readable)
        {
            throw new UblkException(UblkError.InvalidArgument, $"'{value}' is no value for {Name}: {Help}");
        }
    }
}

using System.Management.Automation;
using System.Reflection;
using Microsoft.PowerShell.Commands.Internal.Format;

namespace PwshHost.Commands.Formatting;

/// <summary>The engine's formatter, which pwsh's Format-* commands reach as friends of its assembly and this one by reflection.</summary>
internal static class InnerFormatter
{
    private const BindingFlags Hidden = BindingFlags.Instance | BindingFlags.NonPublic | BindingFlags.Public;

    private static readonly Assembly Engine = typeof(PSObject).Assembly;

    /// <summary>Makes <paramref name="command"/> format as <paramref name="shape"/>, a member of the engine's FormatShape.</summary>
    public static void Attach(OuterFormatShapeCommandBase command, string shape)
    {
        const string space = "Microsoft.PowerShell.Commands.Internal.Format.";
        Type shapes = Engine.GetType(space + "FormatShape", throwOnError: true)!;
        ConstructorInfo create = Engine.GetType(space + "InnerFormatShapeCommand", throwOnError: true)!.GetConstructor(Hidden, [shapes])!;
        typeof(FrontEndCommandBase).GetField("implementation", Hidden)!.SetValue(command, create.Invoke([Enum.Parse(shapes, shape)]));
    }
}

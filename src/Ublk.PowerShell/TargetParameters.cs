using System.Collections.ObjectModel;
using System.Globalization;
using System.Management.Automation;
using Ublk.Targets;

namespace Ublk.PowerShell;

/// <summary>The options a target declares, as parameters that appear for that target alone.</summary>
internal static class TargetParameters
{
    // Options that several targets share are parameters of the cmdlet itself.
    private static readonly string[] Common = ["Path", "Size"];

    /// <summary>The parameters of a target; none while its name is not known.</summary>
    public static RuntimeDefinedParameterDictionary Of(string? targetName)
    {
        RuntimeDefinedParameterDictionary parameters = [];
        TargetDefinition? target = TargetCatalog.All.FirstOrDefault(
            target => string.Equals(target.Name, targetName, StringComparison.OrdinalIgnoreCase));
        foreach (TargetOption option in target?.Options.Where(option => !Common.Contains(option.Name)) ?? [])
        {
            Collection<Attribute> attributes =
                [new ParameterAttribute { Mandatory = option.IsMandatory, HelpMessage = option.Help }];
            parameters.Add(option.Name, new RuntimeDefinedParameter(option.Name, TypeOf(option.Kind), attributes));
        }

        return parameters;
    }

    /// <summary>What the user gave, in the text form of specifications.</summary>
    /// <param name="parameters">The parameters after binding.</param>
    /// <param name="resolvePath">Makes a path absolute.</param>
    public static Dictionary<string, string> Read(RuntimeDefinedParameterDictionary parameters, Func<string, string> resolvePath) =>
        parameters.Values.Where(parameter => parameter.IsSet).ToDictionary(
            parameter => parameter.Name,
            parameter => parameter.Value switch
            {
                SwitchParameter flag => flag.IsPresent ? "true" : "false",
                string path => resolvePath(path),
                object value => Convert.ToString(value, CultureInfo.InvariantCulture)!,
            });

    private static Type TypeOf(TargetOptionKind kind) => kind switch
    {
        TargetOptionKind.Boolean => typeof(SwitchParameter),
        TargetOptionKind.Size => typeof(long),
        _ => typeof(string),
    };
}

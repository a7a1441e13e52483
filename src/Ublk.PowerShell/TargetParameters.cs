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
            parameters.Add(option.Name, new OptionParameter(option));
        }

        return parameters;
    }

    /// <summary>What the user gave, in the text form of specifications.</summary>
    /// <param name="parameters">The parameters after binding.</param>
    /// <param name="resolvePath">Makes a path absolute.</param>
    public static Dictionary<string, string> Read(RuntimeDefinedParameterDictionary parameters, Func<string, string> resolvePath) =>
        parameters.Values.Cast<OptionParameter>().Where(parameter => parameter.IsSet).ToDictionary(
            parameter => parameter.Name,
            parameter => parameter.Value switch
            {
                SwitchParameter flag => flag.IsPresent ? "true" : "false",
                string path when parameter.Kind == TargetOptionKind.Path => resolvePath(path),
                string[] choices => string.Join(',', choices),
                object value => Convert.ToString(value, CultureInfo.InvariantCulture)!,
            });

    private sealed class OptionParameter(TargetOption option)
        : RuntimeDefinedParameter(option.Name, TypeOf(option.Kind), Describe(option))
    {
        public TargetOptionKind Kind => option.Kind;

        private static Type TypeOf(TargetOptionKind kind) => kind switch
        {
            TargetOptionKind.Boolean => typeof(SwitchParameter),
            TargetOptionKind.Size or TargetOptionKind.Number => typeof(long),
            TargetOptionKind.Fraction => typeof(double),
            TargetOptionKind.Choices => typeof(string[]),
            _ => typeof(string),
        };

        private static Collection<Attribute> Describe(TargetOption option)
        {
            Collection<Attribute> attributes = [new ParameterAttribute { Mandatory = option.IsMandatory, HelpMessage = option.Help }];
            if (option.Choices.Count > 0)
            {
                attributes.Add(new ArgumentCompleterAttribute(typeof(ChoiceCompleter)));
            }

            return attributes;
        }
    }
}

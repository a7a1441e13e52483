using System.Collections.ObjectModel;
using System.Management.Automation;
using System.Reflection;
using Ublk.Specification;
using Ublk.Targets;

namespace Ublk.PowerShell;

/// <summary>The options a target declares, as parameters that appear for that target alone.</summary>
internal static class TargetParameters
{
    // Options that several targets share are parameters of the cmdlet itself.
    private static readonly string[] Common = [DeviceSpecification.BackingPathOption, "Size"];

    /// <summary>The parameters of a target; none while it is not known.</summary>
    /// <param name="target">The target.</param>
    /// <param name="cmdlet">The cmdlet. An option that has the name of one of its parameters is given with <c>-Option</c>.</param>
    public static RuntimeDefinedParameterDictionary Of(UblkTarget? target, Type cmdlet)
    {
        HashSet<string> taken = OwnParameters(cmdlet);
        RuntimeDefinedParameterDictionary parameters = [];
        foreach (TargetOption option in target?.Options.Where(option => !Common.Contains(option.Name) && !taken.Contains(option.Name))
            ?? [])
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
            parameter => OptionText.Of(parameter.Option, parameter.Value, resolvePath),
            StringComparer.OrdinalIgnoreCase);

    private static HashSet<string> OwnParameters(Type cmdlet) => new(
        cmdlet.GetProperties().Where(property => property.GetCustomAttribute<ParameterAttribute>() is not null)
            .Select(property => property.Name)
            .Concat(["WhatIf", "Confirm"]),
        StringComparer.OrdinalIgnoreCase);

    // None is mandatory to the shell, since it may come with -Option instead; a missing option is reported when the command runs.
    private sealed class OptionParameter(TargetOption option)
        : RuntimeDefinedParameter(option.Name, TypeOf(option.Kind), Describe(option))
    {
        public TargetOption Option => option;

        private static Type TypeOf(TargetOptionKind kind) => kind switch
        {
            TargetOptionKind.Boolean => typeof(SwitchParameter),
            TargetOptionKind.Size or TargetOptionKind.Number => typeof(long),
            TargetOptionKind.Fraction => typeof(double),
            TargetOptionKind.Choices or TargetOptionKind.Command => typeof(string[]),
            _ => typeof(string),
        };

        private static Collection<Attribute> Describe(TargetOption option)
        {
            Collection<Attribute> attributes = [new ParameterAttribute { HelpMessage = option.Help }];
            if (option.Choices.Count > 0 || option.FindCompletions is not null)
            {
                attributes.Add(new ArgumentCompleterAttribute(typeof(ChoiceCompleter)));
            }

            return attributes;
        }
    }
}

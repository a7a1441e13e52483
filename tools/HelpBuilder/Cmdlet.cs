using System.Management.Automation;
using System.Management.Automation.Runspaces;
using Ublk.Catalog;
using Shell = System.Management.Automation.PowerShell;

namespace Ublk.HelpBuilder;

/// <summary>A parameter in a parameter set, as PowerShell knows it.</summary>
/// <param name="Info">Its metadata.</param>
/// <param name="Owner">The class that declares it: the cmdlet's or a base class; for a target's option the one that adds it.</param>
/// <param name="Targets">The targets whose option it is.</param>
internal sealed record CmdletParameter(CommandParameterInfo Info, Type Owner, IReadOnlyList<string> Targets)
{
    /// <summary>The order in which Get-Help shows them.</summary>
    public (int Position, bool IsOptional) Rank => (Info.Position >= 0 ? Info.Position : int.MaxValue, !Info.IsMandatory);
}

/// <summary>A cmdlet, as PowerShell knows it.</summary>
internal sealed class Cmdlet
{
    private readonly CmdletInfo _info;

    private Cmdlet(Shell shell, CmdletInfo info)
    {
        _info = info;
        ILookup<string, string> targets = TargetsOf(shell, info);
        CmdletInfo[] variants = [info, .. targets.SelectMany(option => option).Distinct().Select(target => Variant(shell, info, target))];
        ParameterSets =
        [
            .. variants.SelectMany(variant => variant.ParameterSets).GroupBy(set => set.Name).Select(set => (IReadOnlyList<CmdletParameter>)
            [
                .. set.SelectMany(variant => variant.Parameters)
                    .DistinctBy(parameter => parameter.Name)
                    .Where(parameter => !System.Management.Automation.Cmdlet.CommonParameters.Contains(parameter.Name))
                    .Select(parameter => new CmdletParameter(parameter, OwnerOf(parameter), [.. targets[parameter.Name]]))
                    .OrderBy(parameter => parameter.Rank),
            ]),
        ];
    }

    /// <summary>Its name.</summary>
    public string Name => _info.Name;

    /// <summary>Its class.</summary>
    public Type Type => _info.ImplementingType;

    /// <summary>The ways to call it.</summary>
    public IReadOnlyList<IReadOnlyList<CmdletParameter>> ParameterSets { get; }

    /// <summary>Each parameter once.</summary>
    public IEnumerable<CmdletParameter> Parameters => ParameterSets.SelectMany(set => set).DistinctBy(parameter => parameter.Info.Name);

    /// <summary>Whether it has a parameter of that name, or it is one that all have.</summary>
    public bool Accepts(string parameter) =>
        Parameters.SelectMany(own => own.Info.Aliases.Append(own.Info.Name)).Concat(System.Management.Automation.Cmdlet.CommonParameters)
            .Contains(parameter, StringComparer.OrdinalIgnoreCase);

    /// <summary>The cmdlets of the module's assembly, with the options of every target.</summary>
    public static IReadOnlyList<Cmdlet> All()
    {
        using Shell shell = Shell.Create(InitialSessionState.CreateDefault2());
        _ = shell.AddCommand("Import-Module").AddParameter("Assembly", typeof(Ublk.PowerShell.HumanSize).Assembly).AddParameter("PassThru");
        PSModuleInfo module = shell.Invoke<PSModuleInfo>().Single();
        return [.. module.ExportedCmdlets.Values.OrderBy(info => info.Name).Select(info => new Cmdlet(shell, info))];
    }

    // Which targets bring each of the parameters that the cmdlet has only with a target.
    private static ILookup<string, string> TargetsOf(Shell shell, CmdletInfo info) =>
        TargetCatalog.All
            .Where(_ => typeof(IDynamicParameters).IsAssignableFrom(info.ImplementingType))
            .SelectMany(target => Variant(shell, info, target.Name).Parameters.Values
                .Where(parameter => parameter.IsDynamic)
                .Select(parameter => (parameter.Name, Target: target.Name)))
            .ToLookup(option => option.Name, option => option.Target);

    private static CmdletInfo Variant(Shell shell, CmdletInfo info, string target)
    {
        shell.Commands.Clear();
        _ = shell.AddCommand("Get-Command").AddParameter("Name", info.Name)
            .AddParameter("ArgumentList", new object[] { "-Target", target });
        return shell.Invoke<CmdletInfo>().Single();
    }

    private Type OwnerOf(CommandParameterInfo parameter)
    {
        if (parameter.IsDynamic)
        {
            return Type.GetInterfaceMap(typeof(IDynamicParameters)).TargetMethods[0].DeclaringType!;
        }

        Type holder = System.Management.Automation.Cmdlet.OptionalCommonParameters.Contains(parameter.Name)
            ? typeof(System.Management.Automation.Internal.ShouldProcessParameters)
            : Type;
        return holder.GetProperty(parameter.Name)!.DeclaringType!;
    }
}

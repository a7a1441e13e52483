using System.Management.Automation;
using Ublk.Devices;
using Ublk.PowerShell;

namespace Ublk.Tests.PowerShell;

/// <summary>How input reaches the parameters of cmdlets. With -WhatIf a cmdlet says which device it would change, and needs no driver.</summary>
public sealed class BindingTests : IDisposable
{
    private readonly CmdletSession _session = new();

    public static TheoryData<string> DeviceCmdlets =>
        ["Remove-UblkDevice", "Resize-UblkDevice -Size 1GB", "Restore-UblkDevice", "Resume-UblkDevice", "Set-UblkDevice -QueueAffinity 0",
            "Start-UblkDevice", "Stop-UblkDevice", "Suspend-UblkDevice", "Update-UblkDevice"];

    public static TheoryData<string> Cmdlets =>
        [.. typeof(HumanSize).Assembly.GetTypes().Where(type => type is { IsAbstract: false } && type.IsSubclassOf(typeof(PSCmdlet)))
            .Select(type => type.GetCustomAttributes(typeof(CmdletAttribute), false).Cast<CmdletAttribute>().Single())
            .Select(cmdlet => $"{cmdlet.VerbName}-{cmdlet.NounName}")];

    public void Dispose() => _session.Dispose();

    [Theory]
    [MemberData(nameof(DeviceCmdlets))]
    public void A_device_is_named_by_position_by_value_and_by_property(string cmdlet)
    {
        string name = cmdlet.Split(' ')[0];
        string options = cmdlet[name.Length..];
        _session.Run($"{name} 3 {options} -WhatIf");
        _session.Run($"4, 5 | {name} {options} -WhatIf");
        _session.Run($"[pscustomobject] @{{ Id = 6 }} | {name} {options} -WhatIf");
        _session.Run($"$args[0] | {name} {options} -WhatIf", new UblkDevice { Id = 7 });
        _session.Run($"{name} -InputObject $args[0] {options} -WhatIf", new UblkDevice { Id = 8 });

        Assert.Empty(_session.Errors);
        Assert.Equal(
            ["3", "4", "5", "6", "7", "8"],
            _session.Host.Lines.Select(line => line.Split("/dev/ublkb")[1].Split('"')[0]));
        Assert.All(_session.Host.Lines, line => Assert.StartsWith("What if: ", line, StringComparison.Ordinal));
    }

    [Theory]
    [MemberData(nameof(DeviceCmdlets))]
    public void A_device_is_named_once(string cmdlet)
    {
        _session.Run($"{cmdlet} -Id 1 -Path /dev/ublkb1 -WhatIf");
        Assert.StartsWith("AmbiguousParameterSet,", Assert.Single(_session.Errors).FullyQualifiedErrorId, StringComparison.Ordinal);
        Assert.Empty(_session.Host.Lines);
    }

    [Theory]
    [MemberData(nameof(Cmdlets))]
    public void A_cmdlet_has_an_approved_verb(string name) =>
        Assert.Equal(true, Assert.Single(_session.Run("(Get-Command $args[0]).Verb -in (Get-Verb).Verb", name)).BaseObject);

    [Theory]
    [MemberData(nameof(Cmdlets))]
    public void A_cmdlet_that_changes_something_supports_WhatIf(string name)
    {
        bool changes = name.Split('-')[0] is not ("Get" or "Measure");
        CmdletInfo cmdlet = (CmdletInfo)Assert.Single(_session.Run("Get-Command $args[0]", name)).BaseObject;
        Assert.Equal(changes, cmdlet.Parameters.ContainsKey("WhatIf"));
        Assert.Equal(changes, cmdlet.Parameters.ContainsKey("Confirm"));
    }
}

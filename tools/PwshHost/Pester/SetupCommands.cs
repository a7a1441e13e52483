using System.Management.Automation;

namespace PwshHost.Pester;

/// <summary>A script block that the block around it keeps for later.</summary>
public abstract class SetupCommand : PSCmdlet
{
    [Parameter(Mandatory = true, Position = 0)]
    public ScriptBlock ScriptBlock { get; set; } = ScriptBlock.Create(string.Empty);

    /// <summary>The Describe or Context around the command. Pester refuses what is to run around each test directly in a file.</summary>
    private protected Block RequireBlock() => Discovery.Current is { IsFile: false } block
        ? block
        : throw new PSInvalidOperationException($"{MyInvocation.InvocationName} is not supported directly in a file. Put it into each Describe.");
}

[Cmdlet(VerbsCommon.Add, "PesterBeforeAll")]
[Alias("BeforeAll")]
public sealed class BeforeAllCommand : SetupCommand
{
    protected override void EndProcessing() => Discovery.Current.BeforeAll.Add(ScriptBlock);
}

[Cmdlet(VerbsCommon.Add, "PesterAfterAll")]
[Alias("AfterAll")]
public sealed class AfterAllCommand : SetupCommand
{
    protected override void EndProcessing() => Discovery.Current.AfterAll.Add(ScriptBlock);
}

[Cmdlet(VerbsCommon.Add, "PesterBeforeEach")]
[Alias("BeforeEach")]
public sealed class BeforeEachCommand : SetupCommand
{
    protected override void EndProcessing() => RequireBlock().BeforeEach.Add(ScriptBlock);
}

[Cmdlet(VerbsCommon.Add, "PesterAfterEach")]
[Alias("AfterEach")]
public sealed class AfterEachCommand : SetupCommand
{
    protected override void EndProcessing() => RequireBlock().AfterEach.Add(ScriptBlock);
}

/// <summary>Runs at once: it prepares what -ForEach and -Skip look at.</summary>
[Cmdlet(VerbsCommon.Add, "PesterBeforeDiscovery")]
[Alias("BeforeDiscovery")]
public sealed class BeforeDiscoveryCommand : SetupCommand
{
    protected override void EndProcessing() => new Scopes(this).Run(ScriptBlock);
}

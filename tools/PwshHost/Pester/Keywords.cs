using System.Management.Automation;

namespace PwshHost.Pester;

/// <summary>Describe, Context and It: a named script block, once or once for each item.</summary>
public abstract class NodeCommand : PSCmdlet
{
    [Parameter(Mandatory = true, Position = 0)]
    public string Name { get; set; } = string.Empty;

    [Parameter(Position = 1)]
    public ScriptBlock? ScriptBlock { get; set; }

    [Parameter]
    [Alias("Tags")]
    public string[] Tag { get; set; } = [];

    [Parameter]
    [Alias("TestCases")]
    [AllowNull]
    [AllowEmptyCollection]
    public object?[]? ForEach { get; set; }

    [Parameter]
    public SwitchParameter Skip { get; set; }

    protected override void EndProcessing()
    {
        // The usual mistake is a brace on the next line, which ends the command before its body.
        if (ScriptBlock is null)
        {
            ThrowTerminatingError(new ErrorRecord(
                new PSArgumentException($"No script block for '{Name}'. (Have you put the open curly brace on the next line?)"),
                "NoScriptBlock",
                ErrorCategory.InvalidArgument,
                null));
        }

        bool isForEach = MyInvocation.BoundParameters.ContainsKey(nameof(ForEach));
        foreach (object? item in isForEach ? ForEach ?? [] : [null])
        {
            Add(item);
        }
    }

    private protected abstract void Add(object? item);
}

[Cmdlet(VerbsCommon.Add, "PesterDescribe")]
[Alias("Describe")]
public sealed class DescribeCommand : BlockCommand
{
    private protected override string Keyword => "Describing";
}

[Cmdlet(VerbsCommon.Add, "PesterContext")]
[Alias("Context")]
public sealed class ContextCommand : BlockCommand
{
    private protected override string Keyword => "Context";
}

/// <summary>Describe and Context differ in name only.</summary>
public abstract class BlockCommand : NodeCommand
{
    private protected abstract string Keyword { get; }

    private protected override void Add(object? item) => Discovery.Add(
        new Block
        {
            Keyword = Keyword,
            Name = Name,
            Script = ScriptBlock!,
            Tags = Tag,
            Skip = Skip,
            Data = item,
            Parent = Discovery.Current,
        },
        new Scopes(this));
}

[Cmdlet(VerbsCommon.Add, "PesterTest")]
[Alias("It")]
public sealed class ItCommand : NodeCommand
{
    private protected override void Add(object? item) => Discovery.Current.Children.Add(new Test
    {
        Name = Name,
        Script = ScriptBlock!,
        Tags = Tag,
        Skip = Skip,
        Data = item,
        Parent = Discovery.Current,
    });
}

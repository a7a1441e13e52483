using System.Management.Automation;

namespace PwshHost.Pester;

/// <summary>What a spec file is made of: blocks that hold tests and blocks.</summary>
internal abstract class Node
{
    public required string Name { get; init; }

    public required ScriptBlock Script { get; init; }

    public Block? Parent { get; init; }

    public IReadOnlyList<string> Tags { get; init; } = [];

    public bool Skip { get; init; }

    /// <summary>The item of -ForEach this node stands for, if any.</summary>
    public object? Data { get; init; }

    /// <summary>The name with its &lt;templates&gt; filled in, known once the node has run.</summary>
    public string ExpandedName { get; set; } = string.Empty;

    public bool IsSkipped => Skip || Parent is { IsSkipped: true };

    /// <summary>The outermost block, whose name is the spec's path.</summary>
    public Node File => Parent?.File ?? this;

    public IEnumerable<string> AllTags => Parent is null ? Tags : Tags.Concat(Parent.AllTags);

    public string Path => Parent is null or { IsFile: true } ? DisplayName : $"{Parent.Path}.{DisplayName}";

    public string DisplayName => ExpandedName.Length > 0 ? ExpandedName : Name;
}

/// <summary>A file, a Describe or a Context.</summary>
internal sealed class Block : Node
{
    /// <summary>Describe or Context; null for a file.</summary>
    public string? Keyword { get; init; }

    public bool IsFile => Keyword is null;

    public List<Node> Children { get; } = [];

    public List<ScriptBlock> BeforeAll { get; } = [];

    public List<ScriptBlock> AfterAll { get; } = [];

    public List<ScriptBlock> BeforeEach { get; } = [];

    public List<ScriptBlock> AfterEach { get; } = [];

    public IEnumerable<Test> Tests => Children.SelectMany(child => child is Block block ? block.Tests : [(Test)child]);

    /// <summary>This block and those around it, outermost first.</summary>
    public IEnumerable<Block> Lineage => Parent is null ? [this] : Parent.Lineage.Append(this);
}

/// <summary>An It.</summary>
internal sealed class Test : Node
{
    /// <summary>False for a test that the tag filters leave out.</summary>
    public bool IsSelected { get; set; } = true;

    public TestResult Result { get; set; } = TestResult.NotRun;

    public TimeSpan Duration { get; set; }

    /// <summary>What failed it, or why it was skipped.</summary>
    public ErrorRecord? Error { get; set; }
}

internal enum TestResult
{
    NotRun,
    Passed,
    Failed,
    Skipped,
}

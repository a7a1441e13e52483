using System.Management.Automation;

namespace PwshHost.Pester;

/// <summary>The first phase: a spec file runs once, and its keywords build the tree of blocks and tests.</summary>
internal static class Discovery
{
    private static Block? _current;

    /// <summary>The block whose body is running.</summary>
    public static Block Current =>
        _current ?? throw new PSInvalidOperationException("This command works only in a spec file that Invoke-Pester is discovering.");

    /// <summary>Throws what the file throws.</summary>
    public static Block Read(string path, Scopes scopes)
    {
        var file = new Block { Name = path, Script = ScriptBlock.Create("& $args[0]") };
        Fill(file, () => scopes.Enter(() => scopes.RunFile(path)));
        return file;
    }

    public static void Add(Block block, Scopes scopes)
    {
        Current.Children.Add(block);
        Fill(block, () => scopes.Enter(() =>
        {
            scopes.SetData(block.Data);
            scopes.Run(block.Script, block.Data);
        }));
    }

    private static void Fill(Block block, Action action)
    {
        Block? outer = _current;
        _current = block;
        try
        {
            action();
        }
        finally
        {
            _current = outer;
        }
    }
}

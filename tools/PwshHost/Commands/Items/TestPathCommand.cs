using System.Management.Automation;

namespace PwshHost.Commands.Items;

public enum TestPathType
{
    Any,
    Container,
    Leaf,
}

[Cmdlet(VerbsDiagnostic.Test, "Path", DefaultParameterSetName = ByPath)]
public sealed class TestPathCommand : PathCommand
{
    [Parameter]
    [Alias("Type")]
    public TestPathType PathType { get; set; }

    protected override void ProcessRecord()
    {
        foreach (string path in Paths)
        {
            WriteObject(!string.IsNullOrWhiteSpace(path) && Exists(IsLiteral ? WildcardPattern.Escape(path) : path));
        }
    }

    private bool Exists(string path)
    {
        try
        {
            return InvokeProvider.Item.Exists(path)
                && (PathType == TestPathType.Any || InvokeProvider.Item.IsContainer(path) == (PathType == TestPathType.Container));
        }
        catch (System.Management.Automation.DriveNotFoundException)
        {
            return false;
        }
    }
}

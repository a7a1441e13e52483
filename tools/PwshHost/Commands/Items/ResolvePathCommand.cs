using System.Management.Automation;

namespace PwshHost.Commands.Items;

[Cmdlet(VerbsDiagnostic.Resolve, "Path", DefaultParameterSetName = ByPath)]
public sealed class ResolvePathCommand : PathCommand
{
    [Parameter]
    public SwitchParameter Relative { get; set; }

    protected override void ProcessRecord()
    {
        foreach (string path in Paths)
        {
            Try(() => Resolve(IsLiteral ? WildcardPattern.Escape(path) : path), path);
        }
    }

    private void Resolve(string path)
    {
        foreach (PathInfo found in SessionState.Path.GetResolvedPSPathFromPSPath(path))
        {
            string here = SessionState.Path.CurrentFileSystemLocation.ProviderPath;
            WriteObject(Relative ? System.IO.Path.Join(".", System.IO.Path.GetRelativePath(here, found.ProviderPath)) : found);
        }
    }
}

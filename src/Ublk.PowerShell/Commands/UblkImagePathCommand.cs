using System.Management.Automation;

namespace Ublk.PowerShell.Commands;

/// <summary>What the cmdlets have in common that take images by their paths.</summary>
public abstract class UblkImagePathCommand : UblkImageCommand
{
    /// <summary>The images; wildcards are expanded.</summary>
    [Parameter(Mandatory = true, Position = 0, ParameterSetName = "Path", ValueFromPipeline = true)]
    [ArgumentCompleter(typeof(ImagePatternCompleter))]
    [SupportsWildcards]
    public string[] Path { get; set; } = [];

    /// <summary>The images, taken as they are. The path of an object in the pipeline comes here.</summary>
    [Parameter(Mandatory = true, ParameterSetName = "LiteralPath", ValueFromPipelineByPropertyName = true)]
    [Alias("PSPath", "FullName")]
    [ArgumentCompleter(typeof(ImagePathCompleter))]
    public string[] LiteralPath { get; set; } = [];

    /// <inheritdoc/>
    protected override void ProcessRecord()
    {
        if (ParameterSetName == "LiteralPath")
        {
            foreach (string path in LiteralPath)
            {
                Attempt(path, () => Process(FilePaths.ResolveExisting(SessionState, path)));
            }

            return;
        }

        foreach (string path in Path)
        {
            Attempt(path, () =>
            {
                foreach (string file in FilePaths.Expand(SessionState, path))
                {
                    Attempt(file, () => Process(file));
                }
            });
        }
    }

    /// <summary>Does it to one image.</summary>
    protected abstract void Process(string image);
}

using System.Management.Automation;

namespace PwshHost.Commands.Items;

/// <summary>A command on paths, given with wildcards or literally.</summary>
public abstract class PathCommand : PSCmdlet
{
    private protected const string ByPath = "Path";
    private protected const string ByLiteralPath = "LiteralPath";

    [Parameter(Mandatory = true, Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true, ParameterSetName = ByPath)]
    public string[] Path { get; set; } = [];

    [Parameter(Mandatory = true, ValueFromPipelineByPropertyName = true, ParameterSetName = ByLiteralPath)]
    [Alias("PSPath", "LP")]
    public string[] LiteralPath { get; set; } = [];

    private protected bool IsLiteral => ParameterSetName == ByLiteralPath;

    private protected string[] Paths => IsLiteral ? LiteralPath : Path;

    /// <summary>The existing files the paths name; what can't be found is a non-terminating error.</summary>
    private protected IEnumerable<string> ResolveFiles()
    {
        foreach (string path in Paths)
        {
            string[] resolved;
            try
            {
                resolved = IsLiteral
                    ? [GetUnresolvedProviderPathFromPSPath(path)]
                    : [.. GetResolvedProviderPathFromPSPath(path, out _)];
            }
            catch (ItemNotFoundException error)
            {
                WriteError(error.ErrorRecord);
                continue;
            }

            foreach (string file in resolved)
            {
                yield return file;
            }
        }
    }

    /// <summary>Runs <paramref name="action"/>, turning what a file system refuses into non-terminating errors.</summary>
    private protected void Try(Action action, object target)
    {
        try
        {
            action();
        }
        catch (Exception error) when (error is RuntimeException and IContainsErrorRecord and not PipelineStoppedException)
        {
            WriteError(((IContainsErrorRecord)error).ErrorRecord);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or ArgumentException)
        {
            WriteError(new ErrorRecord(error, error.GetType().Name, ErrorCategory.WriteError, target));
        }
    }
}

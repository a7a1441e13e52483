using System.Management.Automation;
using System.Text.RegularExpressions;

namespace PwshHost.Commands.Data;

[Cmdlet(VerbsCommon.Select, "String")]
public sealed class SelectStringCommand : PSCmdlet
{
    private bool _found;
    private int _inputLine;

    [Parameter(Mandatory = true, Position = 0)]
    public string[] Pattern { get; set; } = [];

    [Parameter(Position = 1)]
    [Alias("LiteralPath", "PSPath")]
    public string[] Path { get; set; } = [];

    [Parameter(ValueFromPipeline = true)]
    [AllowEmptyString]
    public PSObject? InputObject { get; set; }

    [Parameter]
    public SwitchParameter SimpleMatch { get; set; }

    [Parameter]
    public SwitchParameter CaseSensitive { get; set; }

    [Parameter]
    public SwitchParameter NotMatch { get; set; }

    [Parameter]
    public SwitchParameter AllMatches { get; set; }

    [Parameter]
    public SwitchParameter Quiet { get; set; }

    [Parameter]
    public SwitchParameter Raw { get; set; }

    [Parameter]
    public SwitchParameter List { get; set; }

    protected override void ProcessRecord()
    {
        if (Path.Length > 0)
        {
            SearchFiles(Path.SelectMany(p => GetResolvedProviderPathFromPSPath(p, out _)));
        }
        else if (InputObject?.BaseObject is FileInfo file)
        {
            SearchFiles([file.FullName]);
        }
        else if (InputObject is not null)
        {
            SearchLine(InputObject.ToString(), ++_inputLine, "InputStream");
        }
    }

    protected override void EndProcessing()
    {
        if (Quiet)
        {
            WriteObject(_found);
        }
    }

    private void SearchFiles(IEnumerable<string> files)
    {
        foreach (string file in files)
        {
            int number = 0;
            foreach (string line in File.ReadLines(file))
            {
                if (SearchLine(line, ++number, file) && List)
                {
                    break;
                }
            }
        }
    }

    private bool SearchLine(string line, int number, string path)
    {
        RegexOptions options = CaseSensitive ? RegexOptions.None : RegexOptions.IgnoreCase;
        (string Pattern, MatchCollection Matches) hit = Pattern
            .Select(p => (p, Regex.Matches(line, SimpleMatch ? Regex.Escape(p) : p, options)))
            .FirstOrDefault(pair => pair.Item2.Count > 0, (Pattern[0], Regex.Matches(string.Empty, "x")));
        if (hit.Matches.Count > 0 == NotMatch)
        {
            return false;
        }

        _found = true;
        if (Raw)
        {
            WriteObject(line);
        }
        else if (!Quiet)
        {
            WriteObject(new LineMatch(
                line, number, path, hit.Pattern, [.. AllMatches ? hit.Matches : hit.Matches.Take(1)]));
        }

        return true;
    }
}

/// <summary>A line that matched; its text is what pwsh prints for it.</summary>
public sealed record LineMatch(string Line, int LineNumber, string Path, string Pattern, Match[] Matches)
{
    public string Filename => System.IO.Path.GetFileName(Path);

    public override string ToString() => Path == "InputStream" ? Line : $"{Path}:{LineNumber}:{Line}";
}

using System.Management.Automation;

namespace PwshHost.Commands.Items;

[Cmdlet(VerbsCommon.Get, "ChildItem", DefaultParameterSetName = ByPath)]
public sealed class GetChildItemCommand : PSCmdlet
{
    private const string ByPath = "Path";
    private const string ByLiteralPath = "LiteralPath";

    [Parameter(Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true, ParameterSetName = ByPath)]
    public string[] Path { get; set; } = ["."];

    [Parameter(Mandatory = true, ValueFromPipelineByPropertyName = true, ParameterSetName = ByLiteralPath)]
    [Alias("PSPath", "LP")]
    public string[] LiteralPath { get; set; } = [];

    [Parameter(Position = 1)]
    public string? Filter { get; set; }

    [Parameter]
    public string[] Include { get; set; } = [];

    [Parameter]
    public string[] Exclude { get; set; } = [];

    [Parameter]
    public SwitchParameter Recurse { get; set; }

    [Parameter]
    public uint Depth { get; set; } = uint.MaxValue;

    [Parameter]
    public SwitchParameter Force { get; set; }

    [Parameter]
    public SwitchParameter File { get; set; }

    [Parameter]
    public SwitchParameter Directory { get; set; }

    [Parameter]
    public SwitchParameter Name { get; set; }

    protected override void ProcessRecord()
    {
        bool literal = ParameterSetName == ByLiteralPath;
        foreach (string path in literal ? LiteralPath : Path)
        {
            try
            {
                bool recurse = (Recurse || Depth != uint.MaxValue) && InvokeProvider.Item.IsContainer(literal ? WildcardPattern.Escape(path) : path);
                IEnumerable<PSObject> items = InvokeProvider.ChildItem.Get([path], recurse, Depth, Force, literal).Where(IsWanted);
                WriteObject(Name ? items.Select(NameOf) : items, enumerateCollection: true);
            }
            catch (RuntimeException error) when (error is ItemNotFoundException or ProviderInvocationException)
            {
                WriteError(error.ErrorRecord);
            }
        }
    }

    private bool IsWanted(PSObject item)
    {
        string name = NameOf(item);
        return (!File || item.BaseObject is FileInfo)
            && (!Directory || item.BaseObject is DirectoryInfo)
            && (Filter is null || IsLike(name, Filter))
            && (Include.Length == 0 || Include.Any(p => IsLike(name, p)))
            && !Exclude.Any(p => IsLike(name, p));
    }

    private static bool IsLike(string name, string pattern) => WildcardPattern.Get(pattern, WildcardOptions.IgnoreCase).IsMatch(name);

    private static string NameOf(PSObject item) => item.Properties["PSChildName"]?.Value as string ?? item.ToString();
}

using System.Management.Automation;
using System.Management.Automation.Provider;

namespace PwshHost.Commands.Items;

[Cmdlet(VerbsCommon.Get, "Content", DefaultParameterSetName = ByPath)]
public sealed class GetContentCommand : PathCommand
{
    [Parameter]
    public SwitchParameter Raw { get; set; }

    [Parameter]
    [Alias("First", "Head")]
    public int TotalCount { get; set; } = int.MaxValue;

    [Parameter]
    [Alias("Last")]
    public int? Tail { get; set; }

    [Parameter]
    public SwitchParameter AsByteStream { get; set; }

    [Parameter]
    public string? Encoding { get; set; }

    protected override void ProcessRecord()
    {
        if (Paths is [var first, ..] && SessionState.Path.IsPSAbsolute(first, out string drive) && !IsFileSystem(drive))
        {
            ReadFromProvider(first);
            return;
        }

        foreach (string file in ResolveFiles())
        {
            Try(() => Read(file), file);
        }
    }

    private bool IsFileSystem(string drive) =>
        SessionState.Drive.Get(drive).Provider.Name == "FileSystem";

    // Variables, functions and the environment.
    private void ReadFromProvider(string path)
    {
        foreach (IContentReader reader in InvokeProvider.Content.GetReader(path))
        {
            WriteObject(reader.Read(-1), enumerateCollection: true);
            reader.Close();
        }
    }

    private void Read(string file)
    {
        if (AsByteStream)
        {
            byte[] bytes = File.ReadAllBytes(file);
            bytes = bytes.Length > TotalCount ? bytes[..TotalCount] : bytes;
            WriteObject(bytes, enumerateCollection: !Raw);
        }
        else if (Raw)
        {
            WriteObject(File.ReadAllText(file, TextEncoding.Parse(Encoding)));
        }
        else
        {
            IEnumerable<string> lines = File.ReadLines(file, TextEncoding.Parse(Encoding)).Take(TotalCount);
            WriteObject(Tail is { } tail ? lines.TakeLast(tail) : lines, enumerateCollection: true);
        }
    }
}

using System.Management.Automation;

namespace PwshHost.Commands.Items;

/// <summary>Writes values to files, each on its own line.</summary>
public abstract class WriteContentCommand : PSCmdlet
{
    private readonly List<object?> _values = [];

    [Parameter(Mandatory = true, Position = 0, ValueFromPipelineByPropertyName = true)]
    [Alias("LiteralPath", "PSPath")]
    public string[] Path { get; set; } = [];

    [Parameter(Mandatory = true, Position = 1, ValueFromPipeline = true)]
    [AllowNull]
    [AllowEmptyCollection]
    public object?[]? Value { get; set; }

    [Parameter]
    public string? Encoding { get; set; }

    [Parameter]
    public SwitchParameter NoNewline { get; set; }

    [Parameter]
    public SwitchParameter AsByteStream { get; set; }

    [Parameter]
    public SwitchParameter Force { get; set; }

    [Parameter]
    public SwitchParameter PassThru { get; set; }

    private protected abstract FileMode Mode { get; }

    protected override void ProcessRecord() => _values.AddRange(Value ?? []);

    protected override void EndProcessing()
    {
        foreach (string path in Path)
        {
            string file = GetUnresolvedProviderPathFromPSPath(path);
            try
            {
                using var stream = new FileStream(file, Mode, FileAccess.Write, FileShare.ReadWrite);
                WriteTo(stream);
            }
            catch (Exception error) when (error is IOException or UnauthorizedAccessException)
            {
                WriteError(new ErrorRecord(error, "GetContentWriter" + error.GetType().Name, ErrorCategory.WriteError, file));
            }
        }

        if (PassThru)
        {
            WriteObject(_values, enumerateCollection: true);
        }
    }

    private void WriteTo(FileStream stream)
    {
        if (AsByteStream)
        {
            stream.Write([.. _values.Select(v => LanguagePrimitives.ConvertTo<byte>(v))]);
            return;
        }

        using var writer = new StreamWriter(stream, TextEncoding.Parse(Encoding));
        foreach (object? value in _values)
        {
            writer.Write(LanguagePrimitives.ConvertTo<string>(value));
            if (!NoNewline)
            {
                writer.Write('\n');
            }
        }
    }
}

[Cmdlet(VerbsCommon.Set, "Content")]
public sealed class SetContentCommand : WriteContentCommand
{
    private protected override FileMode Mode => FileMode.Create;
}

[Cmdlet(VerbsCommon.Add, "Content")]
public sealed class AddContentCommand : WriteContentCommand
{
    private protected override FileMode Mode => FileMode.Append;
}

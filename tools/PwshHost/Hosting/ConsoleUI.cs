using System.Collections.ObjectModel;
using System.Management.Automation;
using System.Management.Automation.Host;
using System.Security;

namespace PwshHost.Hosting;

/// <summary>Writes a script's streams to the terminal as pwsh does; never asks anything.</summary>
internal sealed class ConsoleUI : PSHostUserInterface
{
    private TextWriter? _capture;

    public override PSHostRawUserInterface RawUI { get; } = new ConsoleRawUI();

    public override bool SupportsVirtualTerminal => _capture is null && !Console.IsOutputRedirected;

    private TextWriter Output => _capture ?? Console.Out;

    /// <summary>Runs <paramref name="action"/> with everything that Out-Host prints sent to <paramref name="writer"/>.</summary>
    public void Capture(TextWriter writer, Action action)
    {
        TextWriter? outer = _capture;
        _capture = writer;
        try
        {
            action();
        }
        finally
        {
            _capture = outer;
        }
    }

    public override void Write(string value) => Output.Write(Decorated(value));

    public override void WriteLine(string value) => Output.WriteLine(Decorated(value));

    public override void Write(ConsoleColor foregroundColor, ConsoleColor backgroundColor, string value)
    {
        if (foregroundColor != ConsoleRawUI.NoColor)
        {
            value = PSStyle.MapForegroundColorToEscapeSequence(foregroundColor) + value + PSStyle.Instance.Reset;
        }

        Write(value);
    }

    public override void WriteErrorLine(string value) => (_capture ?? Console.Error).WriteLine(Decorated(value));

    public override void WriteWarningLine(string message) =>
        WriteNotice(PSStyle.Instance.Formatting.Warning, "WARNING: " + message);

    public override void WriteVerboseLine(string message) =>
        WriteNotice(PSStyle.Instance.Formatting.Verbose, "VERBOSE: " + message);

    public override void WriteDebugLine(string message) =>
        WriteNotice(PSStyle.Instance.Formatting.Debug, "DEBUG: " + message);

    /// <summary>A log has no place for a bar that moves.</summary>
    public override void WriteProgress(long sourceId, ProgressRecord record)
    {
    }

    public override string ReadLine() => Console.ReadLine() ?? string.Empty;

    public override SecureString ReadLineAsSecureString() => throw NotInteractive();

    public override Dictionary<string, PSObject> Prompt(string caption, string message, Collection<FieldDescription> descriptions) =>
        throw NotInteractive();

    public override int PromptForChoice(string caption, string message, Collection<ChoiceDescription> choices, int defaultChoice) =>
        throw NotInteractive();

    public override PSCredential PromptForCredential(string caption, string message, string userName, string targetName) =>
        throw NotInteractive();

    public override PSCredential PromptForCredential(
        string caption,
        string message,
        string userName,
        string targetName,
        PSCredentialTypes allowedCredentialTypes,
        PSCredentialUIOptions options) => throw NotInteractive();

    private void WriteNotice(string style, string text) => WriteLine(style + text + PSStyle.Instance.Reset);

    /// <summary>Escape sequences only reach a terminal.</summary>
    private string Decorated(string value) => GetOutputString(value, SupportsVirtualTerminal);

    private static PSInvalidOperationException NotInteractive() =>
        new("Cannot prompt: PowerShell is in NonInteractive mode. Give the missing parameter, or -Confirm:$false.");
}

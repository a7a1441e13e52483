using System.Collections.ObjectModel;
using System.Globalization;
using System.Management.Automation;
using System.Management.Automation.Host;
using System.Security;

namespace Ublk.Tests.PowerShell;

/// <summary>A console that keeps what is written to it, and answers each prompt with the same choice.</summary>
/// <param name="answer">The choice's letter; null to fail at a prompt, as a session with -NonInteractive does.</param>
internal sealed class PromptHost(char? answer) : PSHost
{
    private readonly Guid _id = Guid.NewGuid();

    /// <summary>Each line that was written, "What if:" and the like.</summary>
    public List<string> Lines { get; } = [];

    /// <summary>Each prompt's message.</summary>
    public List<string> Prompts { get; } = [];

    public override CultureInfo CurrentCulture => CultureInfo.InvariantCulture;

    public override CultureInfo CurrentUICulture => CultureInfo.InvariantCulture;

    public override Guid InstanceId => _id;

    public override string Name => "Test";

    public override PSHostUserInterface UI => new Console(this, answer);

    public override Version Version => new(1, 0);

    public override void EnterNestedPrompt() => throw new NotSupportedException();

    public override void ExitNestedPrompt() => throw new NotSupportedException();

    public override void NotifyBeginApplication()
    {
    }

    public override void NotifyEndApplication()
    {
    }

    public override void SetShouldExit(int exitCode) => throw new NotSupportedException();

    private sealed class Console(PromptHost host, char? answer) : PSHostUserInterface
    {
        public override PSHostRawUserInterface RawUI => null!;

        public override int PromptForChoice(string caption, string message, Collection<ChoiceDescription> choices, int defaultChoice)
        {
            host.Prompts.Add(message);
            if (answer is not { } letter)
            {
                throw new PSInvalidOperationException("There is no user to be asked.");
            }

            return choices.ToList().FindIndex(choice => choice.Label.Contains($"&{letter}", StringComparison.OrdinalIgnoreCase));
        }

        public override void Write(string value) => host.Lines.Add(value);

        public override void Write(ConsoleColor foregroundColor, ConsoleColor backgroundColor, string value) => host.Lines.Add(value);

        public override void WriteLine(string value) => host.Lines.Add(value);

        public override void WriteDebugLine(string message) => host.Lines.Add(message);

        public override void WriteErrorLine(string value) => host.Lines.Add(value);

        public override void WriteVerboseLine(string message) => host.Lines.Add(message);

        public override void WriteWarningLine(string message) => host.Lines.Add(message);

        public override void WriteProgress(long sourceId, ProgressRecord record)
        {
        }

        public override Dictionary<string, PSObject> Prompt(string caption, string message, Collection<FieldDescription> descriptions) =>
            throw new NotSupportedException();

        public override PSCredential PromptForCredential(string caption, string message, string userName, string targetName) =>
            throw new NotSupportedException();

        public override PSCredential PromptForCredential(
            string caption, string message, string userName, string targetName,
            PSCredentialTypes allowedCredentialTypes, PSCredentialUIOptions options) => throw new NotSupportedException();

        public override string ReadLine() => throw new NotSupportedException();

        public override SecureString ReadLineAsSecureString() => throw new NotSupportedException();
    }
}

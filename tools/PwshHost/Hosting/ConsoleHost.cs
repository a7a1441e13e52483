using System.Globalization;
using System.Management.Automation.Host;

namespace PwshHost.Hosting;

/// <summary>The console as PowerShell sees it.</summary>
internal sealed class ConsoleHost : PSHost
{
    /// <summary>The one host of this process; a cmdlet sees only a wrapper of it.</summary>
    public static ConsoleHost Current { get; } = new();

    /// <summary>What a script gave to <c>exit</c>, if it did.</summary>
    public int? ExitCode { get; private set; }

    public override string Name => "ConsoleHost";

    public override Version Version { get; } = typeof(PSHost).Assembly.GetName().Version!;

    public override Guid InstanceId { get; } = Guid.NewGuid();

    public override PSHostUserInterface UI { get; } = new ConsoleUI();

    public override CultureInfo CurrentCulture => CultureInfo.CurrentCulture;

    public override CultureInfo CurrentUICulture => CultureInfo.CurrentUICulture;

    public override void SetShouldExit(int exitCode) => ExitCode = exitCode;

    public override void EnterNestedPrompt() => throw new NotSupportedException("This host has no prompt.");

    public override void ExitNestedPrompt()
    {
    }

    public override void NotifyBeginApplication()
    {
    }

    public override void NotifyEndApplication()
    {
    }
}

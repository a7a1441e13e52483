using System.Management.Automation;

namespace PwshHost.Pester;

/// <summary>The errors by which commands end a test.</summary>
internal static class Verdict
{
    public const string Failed = "PesterAssertionFailed";

    public const string Skipped = "PesterTestSkipped";

    /// <summary>As if the script had said <c>throw</c>: unlike a cmdlet's terminating error, it does not stop at the statement.</summary>
    public static RuntimeException Create(string message, string errorId)
    {
        var record = new ErrorRecord(new InvalidOperationException(message), errorId, ErrorCategory.InvalidResult, null);
        return new RuntimeException(message, null, record) { WasThrownFromThrowStatement = true };
    }

    public static bool Is(ErrorRecord? error, string errorId) =>
        error is not null && error.FullyQualifiedErrorId.Split(',')[0] == errorId;
}

using System.Management.Automation;

namespace PwshHost.Pester;

/// <summary>Should -Throw: runs a script block and looks at how it ends.</summary>
internal static class ThrowAssertion
{
    private static readonly ScriptBlock Call = ScriptBlock.Create("try { $null = & $args[0] } catch { throw }");

    /// <summary>The error that ended <paramref name="actual"/>, or null.</summary>
    public static ErrorRecord? Run(CommandInvocationIntrinsics invoke, object? actual)
    {
        object? script = actual is PSObject wrapped ? wrapped.BaseObject : actual;
        if (script is not ScriptBlock)
        {
            throw new PSArgumentException("Should -Throw takes a script block: { ... } | Should -Throw.");
        }

        try
        {
            invoke.InvokeScript(true, Call, null, script);
            return null;
        }
        catch (RuntimeException error) when (error is not PipelineStoppedException)
        {
            return error.ErrorRecord;
        }
    }

    public static Outcome Judge(ErrorRecord? error, string? message, string? errorId, Type? type)
    {
        List<string> wanted = [];
        List<string> found = [];
        Check(message is null || IsLike(error?.Exception.Message, message), message, "message like", error?.Exception.Message);
        Check(errorId is null || IsLike(error?.FullyQualifiedErrorId, errorId), errorId, "FullyQualifiedErrorId", error?.FullyQualifiedErrorId);
        Check(type is null || type.IsInstanceOfType(error?.Exception), type?.FullName, "type", error?.Exception.GetType().FullName);

        string what = wanted.Count == 0 ? "an exception to be thrown" : $"an exception with {string.Join(", ", wanted)} to be thrown";
        string but = error is null ? "no exception was thrown"
            : found.Count == 0 ? $"one was thrown: '{error.Exception.Message}'"
            : $"the {string.Join(" and the ", found)}";
        return new(error is not null && found.Count == 0, what, but);

        void Check(bool fits, string? expected, string name, string? actual)
        {
            if (expected is not null)
            {
                wanted.Add($"{name} '{expected}'");
            }

            if (!fits)
            {
                found.Add($"{name.Split(' ')[0]} was '{actual}'");
            }
        }
    }

    private static bool IsLike(string? text, string pattern) =>
        WildcardPattern.Get(pattern, WildcardOptions.IgnoreCase).IsMatch(text ?? string.Empty);
}

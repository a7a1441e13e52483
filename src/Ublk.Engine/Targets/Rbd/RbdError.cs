using Ublk.Interop;

namespace Ublk.Targets.Rbd;

/// <summary>Failures of librados and librbd, which return a negative errno.</summary>
internal static class RbdError
{
    /// <summary>Throws if a call has failed.</summary>
    /// <param name="result">What it returned.</param>
    /// <param name="what">What it was to do, after "Cannot".</param>
    /// <exception cref="UblkException">It has failed.</exception>
    public static void Check(int result, string what)
    {
        if (result < 0)
        {
            throw Of(result, what, "The log of the cluster may show the cause.");
        }
    }

    /// <summary>The exception for a call that has failed.</summary>
    /// <param name="result">What it returned.</param>
    /// <param name="what">What it was to do, after "Cannot".</param>
    /// <param name="remedy">A sentence about what the user can do.</param>
    /// <param name="error">What went wrong.</param>
    public static UblkException Of(int result, string what, string remedy, UblkError error = UblkError.OperationFailed) =>
        new(error, $"Cannot {what}: {Libc.Describe(-result)}. {remedy}", -result, "open");
}

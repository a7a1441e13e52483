using System.CommandLine;
using System.CommandLine.Invocation;

namespace Ublk.CommandLine;

/// <summary>What an option does that only prints something.</summary>
/// <param name="text">The text.</param>
internal sealed class PrintAction(Func<string> text) : SynchronousCommandLineAction
{
    /// <inheritdoc/>
    public override int Invoke(ParseResult parseResult)
    {
        parseResult.InvocationConfiguration.Output.WriteLine(text());
        return ExitCode.Done;
    }
}

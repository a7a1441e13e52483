using Ublk.CommandLine;

namespace Ublk.Tests.CommandLine;

/// <summary>One run of the command <c>ublk</c> in the test's own process.</summary>
internal sealed record CommandRun(int ExitCode, string Output, string Error)
{
    public static CommandRun Of(params string[] arguments)
    {
        using StringWriter output = new();
        using StringWriter error = new();
        int code = UblkProgram.Run(arguments, output, error);
        return new CommandRun(code, output.ToString(), error.ToString());
    }
}

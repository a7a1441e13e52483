namespace PwshHost.Hosting;

/// <summary>What to run: a script file with its arguments, or a piece of script text.</summary>
internal sealed record CommandLine(string? File, string? Command, IReadOnlyList<string> Arguments)
{
    public const string Usage =
        """
        usage: pwsh-host [-NoProfile] [-NonInteractive] -File SCRIPT [ARGUMENT...]
               pwsh-host [-NoProfile] [-NonInteractive] -Command TEXT
        """;

    /// <summary>Reads the subset of pwsh's own command line that scripts are started with; null if it is something else.</summary>
    public static CommandLine? Parse(string[] args)
    {
        int next = 0;
        while (next < args.Length && IsIgnored(args[next]))
        {
            next++;
        }

        if (next >= args.Length)
        {
            return null;
        }

        string word = args[next];
        string[] rest = args[(next + 1)..];
        return word.ToLowerInvariant() switch
        {
            "-file" or "-f" when rest.Length > 0 => new CommandLine(rest[0], null, rest[1..]),
            "-command" or "-c" when rest.Length > 0 => new CommandLine(null, string.Join(' ', rest), []),
            _ when !word.StartsWith('-') => new CommandLine(word, null, rest),
            _ => null,
        };
    }

    private static bool IsIgnored(string word) =>
        word.ToLowerInvariant() is "-noprofile" or "-nop" or "-noninteractive" or "-noni" or "-nologo";
}

using System.CommandLine;

namespace Ublk.CommandLine;

/// <summary>The reference server's options for an NBD export, which become the URI that the engine takes.</summary>
internal static class NbdArgument
{
    /// <summary>The engine's name of the option that takes the URI.</summary>
    public const string UriName = "Uri";

    private static readonly Option<string?> s_host = new("--host") { Description = "The NBD server's name or address.", HelpName = "HOST" };

    private static readonly Option<int?> s_port = NumberOption.Create("PORT", "Its port; 10809 by default.", "--port");

    private static readonly Option<string?> s_unix =
        new("--unix") { Description = "The NBD server's Unix socket.", HelpName = "UNIX_PATH" };

    private static readonly Option<string?> s_export =
        new("--export_name") { Description = "The export's name; the server's default without.", HelpName = "EXP_NAME" };

    /// <summary>The options.</summary>
    public static IReadOnlyList<Option> All { get; } = [s_host, s_port, s_unix, s_export];

    /// <summary>Adds what was given to the options of a specification.</summary>
    /// <exception cref="UblkException">The options contradict each other.</exception>
    public static void Read(ParseResult result, Dictionary<string, string> options)
    {
        if (!All.Any(option => result.GetResult(option) is not null))
        {
            return;
        }

        string? host = result.GetValue(s_host);
        string? socket = result.GetValue(s_unix);
        if (host is null == socket is null || options.ContainsKey(UriName))
        {
            throw new UblkException(UblkError.InvalidArgument, "Name the NBD server by one of --host, --unix and --uri.");
        }

        if (socket is not null && result.GetValue(s_port) is not null)
        {
            throw new UblkException(UblkError.InvalidArgument, "--port needs --host.");
        }

        options[UriName] = UriOf(host, result.GetValue(s_port), socket, result.GetValue(s_export) ?? "");
    }

    /// <summary>The URI of an export.</summary>
    internal static string UriOf(string? host, int? port, string? socket, string export)
    {
        string path = Uri.EscapeDataString(export);
        return socket is not null
            ? $"nbd+unix:///{path}?socket={Uri.EscapeDataString(Path.GetFullPath(socket))}"
            : $"nbd://{(host!.Contains(':', StringComparison.Ordinal) ? $"[{host}]" : host)}{(port is null ? "" : $":{port}")}/{path}";
    }
}

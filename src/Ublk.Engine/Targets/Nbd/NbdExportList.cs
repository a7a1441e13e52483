using System.Buffers.Binary;
using System.Text;

namespace Ublk.Targets.Nbd;

/// <summary>The exports that a server lists.</summary>
internal static class NbdExportList
{
    // Tab completion must not block for longer.
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(2);

    // More than a user would look through.
    private const int MaxExports = 1000;

    /// <summary>URIs of the exports whose names begin as that of a URI does; none where the server does not say.</summary>
    public static IReadOnlyList<string> Complete(string text)
    {
        try
        {
            NbdUri uri = NbdUri.Parse(text);
            int path = text.IndexOf('/', text.IndexOf("://", StringComparison.Ordinal) + 3);
            int query = text.IndexOf('?', StringComparison.Ordinal);
            string before = path < 0 ? $"{(query < 0 ? text : text[..query])}/" : text[..(path + 1)];
            string after = query < 0 ? "" : text[query..];
            return [.. List(uri).Where(name => name.StartsWith(uri.Export, StringComparison.Ordinal))
                .Select(name => $"{before}{Uri.EscapeDataString(name)}{after}")];
        }
        catch (UblkException)
        {
            return [];
        }
    }

    private static List<string> List(NbdUri uri)
    {
        using NbdSocket socket = NbdSocket.Connect(uri, Timeout);
        NbdOptions options = NbdHandshake.Begin(socket, uri);
        options.Send(NbdOption.List);
        List<string> names = [];
        while (names.Count < MaxExports && options.Receive(NbdOption.List) is { Type: NbdOptionReplyType.Server } reply)
        {
            int length = reply.Data.Length < sizeof(uint) ? -1 : BinaryPrimitives.ReadInt32BigEndian(reply.Data);
            if (length < 0 || length > reply.Data.Length - sizeof(uint))
            {
                throw options.Violation("it listed an export without a name");
            }

            string name = Encoding.UTF8.GetString(reply.Data, sizeof(uint), length);
            if (name.Length > 0 && !name.Any(char.IsControl))
            {
                names.Add(name);
            }
        }

        socket.Shutdown();
        return names;
    }
}

namespace Ublk.Targets.Nbd;

/// <summary>What a disk's sessions are opened at: a server that is there, or one that the disk starts for each session.</summary>
internal abstract class NbdEndpoint : IDisposable
{
    /// <summary>The export, for messages and for the disk's user.</summary>
    public abstract string Name { get; }

    /// <summary>The endpoint that a disk's options name.</summary>
    /// <exception cref="UblkException">They name none, or two.</exception>
    public static NbdEndpoint Of(TargetOptions options) => (options.GetText("Uri"), options.GetCommand("Command")) switch
    {
        ({ } uri, null) => new NbdUriEndpoint(uri, options.GetText("TlsCertificates")),
        (null, { } command) when options.GetText("TlsCertificates") is null => new NbdCommandEndpoint(command, options),
        (null, not null) => throw new UblkException(UblkError.InvalidArgument,
            "TlsCertificates needs a Uri and cannot be combined with a Command."),
        _ => throw new UblkException(UblkError.InvalidArgument, "The Nbd target needs either a Uri or a Command, and not both."),
    };

    /// <summary>Opens a session; the former one is lost by then.</summary>
    /// <param name="count">How many connections.</param>
    /// <param name="timeout">How long each of them may take.</param>
    /// <exception cref="UblkException">The server cannot be reached, or refuses.</exception>
    public abstract NbdSession Open(int count, TimeSpan timeout);

    /// <inheritdoc/>
    public virtual void Dispose()
    {
    }

    private sealed class NbdUriEndpoint(string text, string? certificates) : NbdEndpoint
    {
        private readonly NbdUri _uri = NbdUri.Parse(text).WithCertificates(certificates);

        public override string Name => text;

        public override NbdSession Open(int count, TimeSpan timeout) =>
            NbdSession.Open(_uri, count, Name, timeout, socket => _uri.SocketPath is null ? null : NbdPeer.Of(socket));
    }

    private sealed class NbdCommandEndpoint(IReadOnlyList<string> command, TargetOptions options) : NbdEndpoint
    {
        private readonly Lock _lock = new();
        private NbdServerProcess? _server;
        private bool _isDisposed;

        // Not the program's path: it is no path of what is behind the disk.
        public override string Name { get; } = string.Join(' ', command.Skip(1).Prepend(Path.GetFileName(command[0])));

        public override NbdSession Open(int count, TimeSpan timeout)
        {
            lock (_lock)
            {
                ObjectDisposedException.ThrowIf(_isDisposed, this);
                _server?.Dispose();
                _server = null;
                _server = NbdServerProcess.Start(options.Companion, command, options.Inform);
            }

            try
            {
                return NbdSession.Open(
                    new NbdUri(null, 0, _server.SocketPath, ""), count, Name, timeout, _ => NbdPeer.OfChild(_server.Id));
            }
            catch (UblkException exception) when (exception.Error == UblkError.ConnectionFailed)
            {
                // The end of a server is seen a moment after that of its connection.
                throw _server.OutputAfterEnd(TimeSpan.FromSeconds(1)) is { } output
                    ? new UblkException(UblkError.ConnectionFailed,
                        $"The NBD server ended before it served: {Name}.{(output.Length > 0 ? $" Its message: {output}" : "")}",
                        exception.Errno, "command")
                    : exception;
            }
        }

        public override void Dispose()
        {
            lock (_lock)
            {
                _isDisposed = true;
                _server?.Dispose();
            }

            base.Dispose();
        }
    }
}

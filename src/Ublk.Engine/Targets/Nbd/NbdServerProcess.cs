using System.Globalization;
using System.Text;
using Microsoft.Win32.SafeHandles;
using Ublk.Files;
using Ublk.Interop;

namespace Ublk.Targets.Nbd;

/// <summary>A server that a disk starts, by socket activation, on a Unix socket that only its user can reach.</summary>
/// <remarks>
/// A thread starts the server, writes its output to the log, and waits for its end. The kernel ends the server with that thread, so that
/// none outlives a worker that is killed.
/// </remarks>
internal sealed unsafe class NbdServerProcess : IDisposable
{
    // By systemd's convention (sd_listen_fds(3)).
    private const int ListeningFile = 3;

    // For a server that writes back what it has in memory.
    private static readonly TimeSpan EndTimeout = TimeSpan.FromSeconds(10);

    // Longer output than this of a server that cannot start is not for a message.
    private const int MaxOutput = 2000;

    // A program that prints no lines must not fill the memory.
    private const int MaxLine = 500;

    private readonly Lock _lock = new();
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("ublk-nbd-");
    private readonly ManualResetEventSlim _isStarted = new();
    private readonly ManualResetEventSlim _hasEnded = new();
    private readonly ManualResetEventSlim _isRead = new();
    private readonly Action<string> _log;
    private readonly string _name;
    private string _output = "";
    private int _processId;
    private int _errno;

    private NbdServerProcess(string name, Action<string> log)
    {
        _name = name;
        _log = log;
    }

    /// <summary>Where it listens.</summary>
    public string SocketPath => $"{_folder.FullName}/socket";

    /// <summary>Its process.</summary>
    public int Id => _processId;

    /// <summary>Starts a server.</summary>
    /// <param name="companion">What runs a program with a socket, and ends it with this process.</param>
    /// <param name="command">The server and its arguments.</param>
    /// <param name="log">Takes its output, line by line.</param>
    /// <exception cref="UblkException">It is not to be trusted, or cannot be started.</exception>
    public static NbdServerProcess Start(IReadOnlyList<string> companion, IReadOnlyList<string> command, Action<string> log)
    {
        string program = NbdServerProgram.Find(command[0]);
        NbdServerProcess server = Create(Path.GetFileName(command[0]), log);
        try
        {
            string[] arguments =
                [.. companion, Environment.ProcessId.ToString(CultureInfo.InvariantCulture), PathTrust.Check(program), .. command];
            SafeFileHandle listener = NbdSocket.Listen(server.SocketPath);
            new Thread(() => server.Run(arguments, listener)) { IsBackground = true, Name = "nbd-server" }.Start();
            server._isStarted.Wait();
            return server._errno == 0
                ? server
                : throw UblkException.FromErrno(server._errno, "posix_spawn", $"Cannot start {program}");
        }
        catch
        {
            server.Dispose();
            throw;
        }
    }

    /// <summary>What it printed, once it has ended; null while it runs, for so long.</summary>
    public string? OutputAfterEnd(TimeSpan wait)
    {
        if (!_hasEnded.Wait(wait))
        {
            return null;
        }

        // A process of its own may keep the pipe.
        _isRead.Wait(TimeSpan.FromMilliseconds(500));
        lock (_lock)
        {
            return _output.Trim();
        }
    }

    /// <summary>Ends it, and waits for that.</summary>
    public void Dispose()
    {
        if (!TryEnd(Libc.SIGTERM, EndTimeout))
        {
            TryEnd(Libc.SIGKILL, Timeout.InfiniteTimeSpan);
        }

        try
        {
            _folder.Delete(recursive: true);
        }
        catch (IOException)
        {
            // A temporary folder, empty but for a socket that leads nowhere.
        }
    }

    private static NbdServerProcess Create(string name, Action<string> log)
    {
        try
        {
            return new NbdServerProcess(name, log);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new UblkException(UblkError.OperationFailed, $"There is no folder for the socket of {name}: {exception.Message}",
                operation: "mkdtemp");
        }
    }

    private bool TryEnd(int signal, TimeSpan wait)
    {
        lock (_lock)
        {
            if (_processId > 0 && !_hasEnded.IsSet)
            {
                _ = Libc.Kill(_processId, signal);
            }
        }

        return _processId == 0 || _hasEnded.Wait(wait);
    }

    private void Run(string[] arguments, SafeFileHandle listener)
    {
        int* ends = stackalloc int[2];
        if (Libc.Pipe(ends, Libc.O_CLOEXEC) != 0)
        {
            Fail(Libc.LastErrno, listener);
            return;
        }

        using SafeFileHandle output = new(ends[0], ownsHandle: true);
        using (SafeFileHandle input = new(ends[1], ownsHandle: true))
        {
            int errno = Spawn(arguments, (int)listener.DangerousGetHandle(), ends[1]);
            if (errno != 0)
            {
                Fail(errno, listener);
                return;
            }
        }

        listener.Dispose();
        Thread reader = new(() => Read(output)) { IsBackground = true, Name = "nbd-server-log" };
        reader.Start();
        using (SafeFileHandle process = Libc.OpenProcess(_processId))
        {
            _isStarted.Set();
            while (!Libc.PollIn(process, Timeout.Infinite))
            {
                // A signal came.
            }
        }

        lock (_lock)
        {
            // First what it has started, which is in its session. Until it is waited for, its number is no other's.
            _ = Libc.Kill(-_processId, Libc.SIGKILL);
            Libc.WaitPid(_processId);
            _hasEnded.Set();
        }

        reader.Join();
    }

    private void Fail(int errno, SafeFileHandle listener)
    {
        _errno = errno;
        _processId = 0;
        listener.Dispose();
        _isStarted.Set();
    }

    private int Spawn(string[] arguments, int listener, int output)
    {
        byte* actions = stackalloc byte[Libc.SpawnActionsLength];
        int errno = Libc.InitSpawnActions(actions);
        errno = errno != 0 ? errno : Libc.AddSpawnDup2(actions, output, 1);
        errno = errno != 0 ? errno : Libc.AddSpawnDup2(actions, output, 2);
        errno = errno != 0 ? errno : Libc.AddSpawnDup2(actions, listener, ListeningFile);
        string[] environment =
        [
            $"PATH={NbdServerProgram.SearchPath}",
            .. NbdServerProgram.KeptVariables.Where(name => Environment.GetEnvironmentVariable(name) is not null)
                .Select(name => $"{name}={Environment.GetEnvironmentVariable(name)}"),
        ];
        errno = errno != 0
            ? errno
            : Libc.PosixSpawn(out _processId, arguments[0], (nint)actions, 0, [.. arguments, null], [.. environment, null]);
        _ = Libc.DestroySpawnActions(actions);
        return errno;
    }

    private void Read(SafeFileHandle output)
    {
        using StreamReader reader = new(new FileStream(output, FileAccess.Read, bufferSize: 0));
        StringBuilder line = new();
        for (int next; (next = reader.Read()) >= 0;)
        {
            if (next != '\n')
            {
                line.Append((char)next);
            }

            if (next == '\n' || line.Length == MaxLine)
            {
                Note($"{line}");
                line.Clear();
            }
        }

        Note($"{line}");
        _isRead.Set();
    }

    private void Note(string line)
    {
        if (line.Length == 0)
        {
            return;
        }

        lock (_lock)
        {
            _output = _output.Length < MaxOutput ? $"{_output}{line}\n" : _output;
        }

        _log($"{_name}: {line}");
    }
}

using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Ublk.Targets;
using Ublk.Targets.Nbd;
using Ublk.Workers;

namespace Ublk.Tests.Targets.Nbd;

/// <summary>A real server on a Unix socket, which goes with the test.</summary>
internal sealed class NbdServer : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("ublk-nbd-");
    private readonly string _program;
    private readonly Func<NbdServer, IEnumerable<string>> _arguments;
    private Process _process = null!;
    private bool _servesOnce;

    private NbdServer(string program, Func<NbdServer, IEnumerable<string>> arguments)
    {
        _program = program;
        _arguments = arguments;
        Start();
    }

    private void Start()
    {
        _process = Process.Start(new ProcessStartInfo(_program, _arguments(this)) { RedirectStandardError = true })!;
        _process.ErrorDataReceived += (_, line) => Errors += line.Data;
        _process.BeginErrorReadLine();
        Assert.True(SpinWait.SpinUntil(() => Listens() || _process.HasExited, Patience), "The server does not listen.");
        Assert.False(_process.HasExited, Errors);
    }

    /// <summary>Where a server on TCP listens, at 127.0.0.1.</summary>
    public int Port { get; } = LoopbackPort.Find();

    /// <summary>What it wrote to its standard error.</summary>
    public string Errors { get; private set; } = "";

    /// <summary>Where it listens.</summary>
    public string SocketPath => $"{_folder.FullName}/socket";

    /// <summary>nbdkit with a plug-in and its arguments.</summary>
    public static NbdServer Nbdkit(params string[] arguments) =>
        new("nbdkit", server => ["--foreground", "--exit-with-parent", "--unix", server.SocketPath, .. arguments]);

    /// <summary>qemu-nbd with an image.</summary>
    public static NbdServer Qemu(params string[] arguments) =>
        new("qemu-nbd", server => ["--persistent", "--shared=0", "--socket", server.SocketPath, .. arguments]);

    /// <summary>nbdkit on TCP.</summary>
    public static NbdServer Tcp(params string[] arguments) => TcpWith("LANG=C", arguments);

    /// <summary>The same with a variable in its environment.</summary>
    public static NbdServer TcpWith(string variable, string[] arguments) => new("env", server =>
        [variable, "nbdkit", "--foreground", "--exit-with-parent", "--ipaddr=127.0.0.1", $"--port={server.Port}", .. arguments]);

    /// <summary>qemu-nbd on TCP.</summary>
    public static NbdServer QemuTcp(params string[] arguments) => new("qemu-nbd", server =>
        ["--persistent", "--shared=0", "--bind=127.0.0.1", $"--port={server.Port}", .. arguments]);

    /// <summary>nbd-server with a file, as the export disk.</summary>
    public static NbdServer Old(string path) => new("nbd-server", server =>
    {
        string settings = $"{server._folder.FullName}/settings";
        File.WriteAllText(settings,
            $"[generic]\nlistenaddr = 127.0.0.1\nport = {server.Port}\nunixsock = {server.SocketPath}\n"
                + $"[disk]\nexportname = {path}\nflush = true\nfua = true\ntrim = true\n");
        // For one client, which it ends with: an attempt to connect would be that.
        server._servesOnce = true;
        return ["-d", "-C", settings];
    });

    /// <summary>The URI of an export.</summary>
    public string Uri(string export = "") => $"nbd+unix:///{export}?socket={SocketPath}";

    /// <summary>A disk of an export.</summary>
    public NbdTarget Open(string export = "", bool readOnly = false, int threads = 1) => OpenUri(Uri(export), readOnly, threads);

    /// <summary>A disk of the export of a URI.</summary>
    public static NbdTarget OpenUri(string uri, bool readOnly = false, int threads = 1) => OpenWith(uri, threads, readOnly, log: null);

    /// <summary>A disk with other options.</summary>
    public static NbdTarget OpenWith(
        string uri, int threads, bool readOnly, Action<string>? log, params IEnumerable<(string Name, string Value)> options) =>
        OpenWith(threads, readOnly, log, [.. options, ("Uri", uri)]);

    /// <summary>A disk with any options.</summary>
    public static NbdTarget OpenWith(int threads, bool readOnly, Action<string>? log, params (string Name, string Value)[] options) =>
        NbdTarget.Open(new TargetOptions(options.ToDictionary(option => option.Name, option => option.Value))
        {
            ReadOnly = readOnly,
            QueueThreads = threads,
            Warn = log ?? (static _ => { }),
            Inform = log ?? (static _ => { }),
            Companion = [.. BuiltWorker.Command, WorkerArguments.Companion],
        });

    /// <summary>Ends the server as a crash does.</summary>
    public void Kill()
    {
        _process.Kill();
        _process.WaitForExit();
    }

    /// <summary>Starts it again.</summary>
    public void Restart()
    {
        _process.Dispose();
        File.Delete(SocketPath);
        Start();
    }

    public void Dispose()
    {
        Kill();
        _process.Dispose();
        _folder.Delete(recursive: true);
    }

    private bool Listens()
    {
        if (_servesOnce)
        {
            return File.Exists(SocketPath);
        }

        try
        {
            using Socket client =
                new(File.Exists(SocketPath) ? AddressFamily.Unix : AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Unspecified);
            client.Connect(File.Exists(SocketPath) ? new UnixDomainSocketEndPoint(SocketPath) : new IPEndPoint(IPAddress.Loopback, Port));
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }
}

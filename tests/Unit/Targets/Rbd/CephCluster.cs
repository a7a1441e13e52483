using System.Diagnostics;

namespace Ublk.Tests.Targets.Rbd;

/// <summary>A Ceph cluster of one monitor and one OSD that keeps objects in memory, for all tests of a class.</summary>
public sealed class CephCluster : IDisposable
{
    // Ten times what an idle machine takes. A monitor that is not up by then does not come up: its port may have been taken meanwhile.
    private static readonly TimeSpan StartTimeout = TimeSpan.FromSeconds(80);
    private const int Attempts = 3;

    private readonly List<Process> _daemons = [];
    private readonly DirectoryInfo _folder;

    public CephCluster()
    {
        for (int attempt = 1; ; attempt++)
        {
            _folder = Directory.CreateTempSubdirectory("ublk-ceph-");
            try
            {
                Start();
                return;
            }
            catch
            {
                Dispose();
                if (attempt == Attempts)
                {
                    throw;
                }
            }
        }
    }

    /// <summary>Its configuration file.</summary>
    public string ConfigPath => $"{_folder.FullName}/ceph.conf";

    /// <summary>Runs the rbd command, which must succeed.</summary>
    public string Rbd(params string[] arguments) => Shell.Run("rbd", ["--conf", ConfigPath, .. arguments]);

    /// <summary>Runs the ceph command, which must succeed.</summary>
    public string Ceph(params string[] arguments) => Shell.Run("ceph", ["--conf", ConfigPath, .. arguments]);

    /// <summary>What is in an image or a snapshot, as the rbd command reads it.</summary>
    public byte[] Export(string spec)
    {
        string path = $"{_folder.FullName}/export-{Guid.NewGuid():N}";
        Rbd("export", "--no-progress", spec, path);
        byte[] content = File.ReadAllBytes(path);
        File.Delete(path);
        return content;
    }

    /// <summary>Stops the OSD as long as something is done.</summary>
    public void WithoutOsd(Action action)
    {
        Signal("STOP");
        try
        {
            action();
        }
        finally
        {
            Signal("CONT");
        }

        void Signal(string name) => Shell.Run("kill", $"-{name}", $"{_daemons[^1].Id}");
    }

    public void Dispose()
    {
        foreach (Process daemon in _daemons)
        {
            daemon.Kill();
            daemon.WaitForExit();
            daemon.Dispose();
        }

        _daemons.Clear();
        _folder.Delete(recursive: true);
    }

    private void Start()
    {
        string folder = _folder.FullName;
        string monitor = $"127.0.0.1:{LoopbackPort.Find()}";
        string cluster = $"{Guid.NewGuid()}";
        string osd = $"{Guid.NewGuid()}";
        Directory.CreateDirectory($"{folder}/mon");
        Directory.CreateDirectory($"{folder}/osd");
        File.WriteAllText($"{folder}/keyring", "");

        // For an address without "v1:", a client also tries version 2 of the protocol, which the monitor does not serve.
        File.WriteAllText(ConfigPath, $"""
            [global]
            fsid = {cluster}
            mon host = [v1:{monitor}]
            ms bind msgr2 = false
            auth cluster required = none
            auth service required = none
            auth client required = none
            osd pool default size = 1
            osd pool default min size = 1
            osd crush chooseleaf type = 0
            mon allow pool size one = true
            mon warn on pool no redundancy = false
            mon data = {folder}/mon
            mon data avail crit = 1
            osd data = {folder}/osd
            osd objectstore = memstore
            memstore device bytes = 2147483648
            run dir = {folder}
            log file = {folder}/$name.log
            admin socket = {folder}/$name.$pid.asok
            keyring = {folder}/keyring

            """);
        Shell.Run("monmaptool", "--create", "--fsid", cluster, "--addv", "a", $"[v1:{monitor}]", $"{folder}/map");
        Shell.Run("ceph-mon", "--conf", ConfigPath, "-i", "a", "--mkfs", "--monmap", $"{folder}/map");
        StartDaemon("ceph-mon", "-i", "a");

        // The monitor refuses commands until it has elected itself.
        Until(() => TryCeph("osd", "create", osd));
        Shell.Run("ceph-osd", "--conf", ConfigPath, "-i", "0", "--mkfs", "--osd-uuid", osd);
        StartDaemon("ceph-osd", "-i", "0");
        Until(() => Ceph("osd", "stat").Contains("1 up", StringComparison.Ordinal));
        Ceph("osd", "pool", "create", "rbd", "8");
        Rbd("pool", "init", "rbd");
    }

    private bool TryCeph(params string[] arguments)
    {
        using Process process = Process.Start(new ProcessStartInfo("ceph", ["--conf", ConfigPath, "--connect-timeout", "10", .. arguments])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return process.ExitCode == 0;
    }

    private void StartDaemon(string program, params string[] arguments) => _daemons.Add(Process.Start(
        new ProcessStartInfo(program, ["--conf", ConfigPath, "--foreground", .. arguments])
        {
            // Messages go to the log; what is written here would only mix with the tests' own.
            RedirectStandardError = true,
        })!);

    private static void Until(Func<bool> condition)
    {
        for (long start = Stopwatch.GetTimestamp(); !condition();)
        {
            Assert.True(Stopwatch.GetElapsedTime(start) < StartTimeout, "The Ceph cluster did not start.");
            Thread.Sleep(200);
        }
    }
}

namespace Ublk.Tests.Targets.Rbd;

/// <summary>A Ceph cluster of one monitor and one OSD that keeps objects in memory, for all tests of a class.</summary>
public sealed class CephCluster : IDisposable
{
    // A port may be taken before the monitor has it.
    private const int Attempts = 3;

    private readonly DirectoryInfo _folder;

    public CephCluster()
    {
        for (int attempt = 1; ; attempt++)
        {
            _folder = Directory.CreateTempSubdirectory("ublk-ceph-");
            try
            {
                Shell.Run(Path.Combine(Repository.Root, "tests", "ceph.sh"), _folder.FullName, $"{LoopbackPort.Find()}");
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
        Signal("STOP", "osd.0");
        try
        {
            action();
        }
        finally
        {
            Signal("CONT", "osd.0");
        }
    }

    public void Dispose()
    {
        foreach (string daemon in (string[])["osd.0", "mon.a"])
        {
            Signal("KILL", daemon);
        }

        _folder.Delete(recursive: true);
    }

    // One that did not start has no file.
    private void Signal(string name, string daemon)
    {
        string file = $"{_folder.FullName}/{daemon}.pid";
        if (File.Exists(file))
        {
            Shell.Run("kill", $"-{name}", File.ReadAllText(file).Trim());
        }
    }
}

using System.Runtime.InteropServices;
using Ublk.Interop;
using Ublk.Specification;

namespace Ublk.Targets.Rbd;

/// <summary>A connection to a Ceph cluster, and to one of its pools.</summary>
internal sealed unsafe class RbdCluster : IDisposable
{
    /// <summary>The setting that has librbd cache writes.</summary>
    public const string CacheOption = "rbd_cache";

    // Ceph's own 300 s are longer than New-UblkDevice waits for a worker.
    private const string ConnectTimeoutOption = "client_mount_timeout";
    private const string ConnectTimeout = "15";
    private const int MaxIdLength = 64;

    private nint _cluster;
    private nint _pool;

    private RbdCluster()
    {
    }

    /// <summary>librados' handle of the pool.</summary>
    public nint Pool => _pool;

    /// <summary>Connects.</summary>
    /// <param name="name">Names the pool.</param>
    /// <param name="options">How the cluster is reached.</param>
    /// <exception cref="UblkException">The libraries are missing, or the cluster or the pool cannot be used.</exception>
    public static RbdCluster Connect(RbdName name, TargetOptions options)
    {
        RbdCluster cluster = new();
        try
        {
            cluster.Connect(options);
            cluster.OpenPool(name);
            return cluster;
        }
        catch (DllNotFoundException)
        {
            throw Missing(LibRbd.Rados);
        }
        catch
        {
            cluster.Dispose();
            throw;
        }
    }

    /// <summary>The error of a library that is not installed.</summary>
    public static UblkException Missing(string library) => new(UblkError.NotSupported,
        $"The Rbd target needs Ceph's client libraries, and there is no {library}. Install them: apt install librbd1", operation: "load");

    /// <summary>The UUID of the cluster.</summary>
    /// <exception cref="UblkException">The cluster does not say.</exception>
    public string FindId()
    {
        byte* text = stackalloc byte[MaxIdLength];
        RbdError.Check(LibRbd.GetClusterId(_cluster, text, MaxIdLength), "read the id of the cluster");
        return Marshal.PtrToStringUTF8((nint)text)!;
    }

    /// <summary>What identifies the pool in the cluster.</summary>
    public long FindPoolId() => LibRbd.GetPoolId(_pool);

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_pool != 0)
        {
            LibRbd.ClosePool(_pool);
            _pool = 0;
        }

        if (_cluster != 0)
        {
            LibRbd.Shutdown(_cluster);
            _cluster = 0;
        }
    }

    private void Connect(TargetOptions options)
    {
        RbdError.Check(LibRbd.Create(out _cluster, options.GetText("User")), "create a client");
        string? path = options.GetText("ConfigPath");
        string? settings = options.GetText("Cluster");
        int result = LibRbd.ReadConfiguration(_cluster, path);
        if (result < 0 && (path is not null || settings is null))
        {
            throw RbdError.Of(result, "read Ceph's configuration" + (path is null ? "" : $" {path}"),
                "Name the file with -ConfigPath, or the monitors with -Cluster mon_host=ADDRESS.");
        }

        Configure(ConnectTimeoutOption, ConnectTimeout);
        if (options.GetText("KeyringPath") is { } keyring)
        {
            Configure("keyring", keyring);
        }

        foreach (string setting in settings?.Split(';', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries) ?? [])
        {
            string[] pair = setting.Split('=', 2);
            if (pair.Length != 2)
            {
                throw new UblkException(UblkError.InvalidArgument,
                    $"'{setting}' is not a setting of Ceph. Write option=value, with ';' between several.");
            }

            Configure(pair[0].Trim(), pair[1].Trim());
        }

        // A write that was answered from the cache would be lost with the worker, while the disk goes on.
        if (options.Recovery != RecoveryMode.None)
        {
            Configure(CacheOption, "false");
        }

        result = LibRbd.Connect(_cluster);
        if (result < 0)
        {
            throw RbdError.Of(result, "connect to the Ceph cluster", result switch
            {
                -Libc.EPERM or -Libc.EACCES or -Libc.ENOENT => "Check -User and -KeyringPath.",
                _ => "Check that its monitors are reachable: ceph status",
            }, UblkError.ConnectionFailed);
        }
    }

    private void OpenPool(RbdName name)
    {
        int result = LibRbd.OpenPool(_cluster, name.Pool, out _pool);
        if (result < 0)
        {
            _pool = 0;
            throw RbdError.Of(result, $"open the pool {name.Pool}", "List the pools: ceph osd lspools", UblkError.PathNotFound);
        }

        LibRbd.SetNamespace(_pool, name.Namespace ?? "");
    }

    private void Configure(string option, string value)
    {
        int result = LibRbd.Configure(_cluster, option, value);
        if (result < 0)
        {
            throw new UblkException(UblkError.InvalidArgument,
                $"Ceph refuses the setting {option}={value}: {Libc.Describe(-result)}.", -result, "configure");
        }
    }
}

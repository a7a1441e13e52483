using System.Runtime.InteropServices;
using Ublk.Interop;

namespace Ublk.Targets.Rbd;

/// <summary>An open image with its connection to the cluster.</summary>
internal sealed unsafe class RbdImage : IDisposable
{
    // Ceph's own 300 s are longer than New-UblkDevice waits for a worker.
    private const string ConnectTimeoutOption = "client_mount_timeout";
    private const string ConnectTimeout = "15";

    private readonly RbdName _name;
    private nint _cluster;
    private nint _pool;
    private nint _image;

    private RbdImage(RbdName name) => _name = name;

    /// <summary>librbd's handle.</summary>
    public nint Handle => _image;

    /// <summary>The size in bytes.</summary>
    public long Size { get; private set; }

    /// <summary>Connects to a cluster and opens an image; for writing with its exclusive lock, which is not handed over.</summary>
    /// <param name="name">The image.</param>
    /// <param name="options">How the cluster is reached.</param>
    /// <param name="readOnly">Whether the image is only read, without a lock.</param>
    /// <exception cref="UblkException">The libraries are missing, or the cluster or the image cannot be used.</exception>
    public static RbdImage Open(RbdName name, TargetOptions options, bool readOnly)
    {
        RbdImage image = new(name);
        try
        {
            image.Connect(options);
            image.OpenImage(readOnly);
            return image;
        }
        catch (DllNotFoundException exception)
        {
            image.Dispose();
            string library = exception.Message.Contains(LibRbd.Rados, StringComparison.Ordinal) ? LibRbd.Rados : LibRbd.Rbd;
            throw new UblkException(UblkError.NotSupported,
                $"The Rbd target needs Ceph's client libraries, and there is no {library}. Install them: apt install librbd1",
                operation: "load");
        }
        catch
        {
            image.Dispose();
            throw;
        }
    }

    /// <summary>Makes librbd write to an eventfd whenever requests complete.</summary>
    /// <exception cref="UblkException">librbd refuses it.</exception>
    public void Notify(int file) => Check(LibRbd.SetNotification(_image, file, LibRbd.EVENT_TYPE_EVENTFD), "use an eventfd");

    /// <inheritdoc/>
    public void Dispose()
    {
        // Closing the image flushes it, and gives the lock back.
        if (_image != 0)
        {
            _ = LibRbd.Close(_image);
            _image = 0;
        }

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
        Check(LibRbd.Create(out _cluster, options.GetText("User")), "create a client");
        string? path = options.GetText("ConfigPath");
        string? settings = options.GetText("Cluster");
        int result = LibRbd.ReadConfiguration(_cluster, path);
        if (result < 0 && (path is not null || settings is null))
        {
            throw Failure(result, "read Ceph's configuration" + (path is null ? "" : $" {path}"),
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

        result = LibRbd.Connect(_cluster);
        if (result < 0)
        {
            throw Failure(result, "connect to the Ceph cluster", result switch
            {
                -Libc.EPERM or -Libc.EACCES or -Libc.ENOENT => "Check -User and -KeyringPath.",
                _ => "Check that its monitors are reachable: ceph status",
            }, UblkError.ConnectionFailed);
        }
    }

    private void OpenImage(bool readOnly)
    {
        int result = LibRbd.OpenPool(_cluster, _name.Pool, out _pool);
        if (result < 0)
        {
            _pool = 0;
            throw Failure(result, $"open the pool {_name.Pool}", "List the pools: ceph osd lspools", UblkError.PathNotFound);
        }

        LibRbd.SetNamespace(_pool, _name.Namespace ?? "");
        result = readOnly
            ? LibRbd.OpenReadOnly(_pool, _name.Image, out _image, _name.Snapshot)
            : LibRbd.Open(_pool, _name.Image, out _image, null);
        if (result < 0)
        {
            _image = 0;
            throw Failure(result, $"open the image {_name}",
                $"List the images: rbd ls {_name.Pool}{(_name.Namespace is null ? "" : $"/{_name.Namespace}")}",
                result == -Libc.ENOENT ? UblkError.PathNotFound : UblkError.OperationFailed);
        }

        Check(LibRbd.GetSize(_image, out ulong size), $"read the size of {_name}");
        Size = (long)size;
        if (!readOnly)
        {
            Lock();
        }
    }

    private void Lock()
    {
        int result = LibRbd.AcquireLock(_image, LibRbd.RBD_LOCK_MODE_EXCLUSIVE);
        if (result < 0)
        {
            throw FindOwner() is { } owner
                ? new UblkException(UblkError.BackingFileInUse,
                    $"The image {_name} is in use by the client at {owner}, which holds its exclusive lock. Stop that client, or use "
                        + $"-ReadOnly. Show it: rbd lock ls {_name}", -result, "lock")
                : Failure(result, $"lock the image {_name}",
                    $"It needs the feature exclusive-lock: rbd feature enable {_name} exclusive-lock");
        }
    }

    private string? FindOwner()
    {
        byte* owner = null;
        nuint count = 1;
        if (LibRbd.GetLockOwners(_image, out _, &owner, ref count) < 0 || count == 0)
        {
            return null;
        }

        string? text = Marshal.PtrToStringUTF8((nint)owner);
        LibRbd.FreeLockOwners(&owner, count);
        return text;
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

    private static void Check(int result, string what)
    {
        if (result < 0)
        {
            throw Failure(result, what, "The log of the cluster may show the cause.");
        }
    }

    private static UblkException Failure(int result, string what, string remedy, UblkError error = UblkError.OperationFailed) =>
        new(error, $"Cannot {what}: {Libc.Describe(-result)}. {remedy}", -result, "open");
}

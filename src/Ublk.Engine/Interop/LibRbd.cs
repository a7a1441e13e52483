using System.Runtime.InteropServices;

namespace Ublk.Interop;

/// <summary>Ceph's librados and librbd: found when they are first called, so that a worker of another target does without them.</summary>
internal static unsafe partial class LibRbd
{
    public const string Rados = "librados.so.2";
    public const string Rbd = "librbd.so.1";

    // rbd/librbd.h
    public const int EVENT_TYPE_EVENTFD = 2;
    public const int RBD_LOCK_MODE_EXCLUSIVE = 0;
    public const int RBD_WRITE_ZEROES_FLAG_THICK_PROVISION = 1;

    /// <summary>The beginning of what librbd says of an image, and bytes for the rest (rbd_image_info_t).</summary>
    [StructLayout(LayoutKind.Sequential, Size = 160)]
    public struct ImageInfo
    {
        public ulong Size;
        public ulong ObjectSize;
    }

    /// <summary>A setting of Ceph that holds for an image, as text (rbd_config_option_t).</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct ConfigurationOption
    {
        public byte* Name;
        public byte* Value;
        public int Source;
    }

    [LibraryImport(Rados, EntryPoint = "rados_create", StringMarshalling = StringMarshalling.Utf8)]
    public static partial int Create(out nint cluster, string? user);

    /// <summary>Reads a configuration file; null for the one in Ceph's own places.</summary>
    [LibraryImport(Rados, EntryPoint = "rados_conf_read_file", StringMarshalling = StringMarshalling.Utf8)]
    public static partial int ReadConfiguration(nint cluster, string? path);

    [LibraryImport(Rados, EntryPoint = "rados_conf_set", StringMarshalling = StringMarshalling.Utf8)]
    public static partial int Configure(nint cluster, string option, string value);

    [LibraryImport(Rados, EntryPoint = "rados_connect")]
    public static partial int Connect(nint cluster);

    /// <summary>Disconnects and frees a cluster that was created, connected or not.</summary>
    [LibraryImport(Rados, EntryPoint = "rados_shutdown")]
    public static partial void Shutdown(nint cluster);

    [LibraryImport(Rados, EntryPoint = "rados_ioctx_create", StringMarshalling = StringMarshalling.Utf8)]
    public static partial int OpenPool(nint cluster, string pool, out nint context);

    [LibraryImport(Rados, EntryPoint = "rados_ioctx_set_namespace", StringMarshalling = StringMarshalling.Utf8)]
    public static partial void SetNamespace(nint context, string name);

    [LibraryImport(Rados, EntryPoint = "rados_ioctx_get_id")]
    public static partial long GetPoolId(nint context);

    /// <summary>The cluster's UUID.</summary>
    /// <returns>Its length, or a negative errno.</returns>
    [LibraryImport(Rados, EntryPoint = "rados_cluster_fsid")]
    public static partial int GetClusterId(nint cluster, byte* text, nuint size);

    [LibraryImport(Rados, EntryPoint = "rados_ioctx_destroy")]
    public static partial void ClosePool(nint context);

    [LibraryImport(Rbd, EntryPoint = "rbd_open", StringMarshalling = StringMarshalling.Utf8)]
    public static partial int Open(nint context, string name, out nint image, string? snapshot);

    [LibraryImport(Rbd, EntryPoint = "rbd_open_read_only", StringMarshalling = StringMarshalling.Utf8)]
    public static partial int OpenReadOnly(nint context, string name, out nint image, string? snapshot);

    [LibraryImport(Rbd, EntryPoint = "rbd_close")]
    public static partial int Close(nint image);

    [LibraryImport(Rbd, EntryPoint = "rbd_get_size")]
    public static partial int GetSize(nint image, out ulong size);

    [LibraryImport(Rbd, EntryPoint = "rbd_stat")]
    public static partial int GetInfo(nint image, out ImageInfo info, nuint size);

    [LibraryImport(Rbd, EntryPoint = "rbd_get_features")]
    public static partial int GetFeatures(nint image, out ulong features);

    /// <summary>The names of features, with commas between them.</summary>
    [LibraryImport(Rbd, EntryPoint = "rbd_features_to_string")]
    public static partial int FormatFeatures(ulong features, byte* text, ref nuint size);

    /// <summary>What identifies an image in its pool and namespace, whatever its name.</summary>
    [LibraryImport(Rbd, EntryPoint = "rbd_get_id")]
    public static partial int GetId(nint image, byte* text, nuint size);

    /// <summary>
    /// The settings that hold for an image: of the client, the pool or itself. At most <paramref name="count"/>, which becomes their
    /// number.
    /// </summary>
    [LibraryImport(Rbd, EntryPoint = "rbd_config_image_list")]
    public static partial int ListConfiguration(nint image, ConfigurationOption* options, ref int count);

    [LibraryImport(Rbd, EntryPoint = "rbd_config_image_list_cleanup")]
    public static partial void FreeConfiguration(ConfigurationOption* options, int count);

    [LibraryImport(Rbd, EntryPoint = "rbd_lock_acquire")]
    public static partial int AcquireLock(nint image, int mode);

    /// <summary>The addresses of the clients that hold the lock. At most <paramref name="count"/>, which becomes their number.</summary>
    [LibraryImport(Rbd, EntryPoint = "rbd_lock_get_owners")]
    public static partial int GetLockOwners(nint image, out int mode, byte** owners, ref nuint count);

    [LibraryImport(Rbd, EntryPoint = "rbd_lock_get_owners_cleanup")]
    public static partial void FreeLockOwners(byte** owners, nuint count);

    /// <summary>Excludes the owner of the lock from the cluster (blocklists it), and takes its lock away; only if it is this one.</summary>
    [LibraryImport(Rbd, EntryPoint = "rbd_lock_break", StringMarshalling = StringMarshalling.Utf8)]
    public static partial int BreakLock(nint image, int mode, string owner);

    /// <summary>Changes the size of an image; the client that has the lock does it, if one has.</summary>
    [LibraryImport(Rbd, EntryPoint = "rbd_resize")]
    public static partial int Resize(nint image, ulong size);

    /// <summary>Makes librbd call a function, with one argument and on a thread of its own, when the image may have changed.</summary>
    [LibraryImport(Rbd, EntryPoint = "rbd_update_watch")]
    public static partial int Watch(nint image, out ulong watch, nint function, nint argument);

    /// <summary>Ends this. The function is not running any more, nor will be, after that.</summary>
    [LibraryImport(Rbd, EntryPoint = "rbd_update_unwatch")]
    public static partial int Unwatch(nint image, ulong watch);

    /// <summary>Makes librbd write to an eventfd whenever requests complete.</summary>
    [LibraryImport(Rbd, EntryPoint = "rbd_set_image_notification")]
    public static partial int SetNotification(nint image, int file, int type);

    /// <summary>Takes completed requests.</summary>
    /// <returns>How many, or a negative errno.</returns>
    [LibraryImport(Rbd, EntryPoint = "rbd_poll_io_events")]
    public static partial int Poll(nint image, nint* completions, int count);

    [LibraryImport(Rbd, EntryPoint = "rbd_aio_create_completion")]
    public static partial int CreateCompletion(nint argument, nint callback, out nint completion);

    [LibraryImport(Rbd, EntryPoint = "rbd_aio_get_arg")]
    public static partial nint GetArgument(nint completion);

    /// <summary>The result of a completed request: bytes for a read, else 0, or a negative errno.</summary>
    [LibraryImport(Rbd, EntryPoint = "rbd_aio_get_return_value")]
    public static partial nint GetResult(nint completion);

    [LibraryImport(Rbd, EntryPoint = "rbd_aio_release")]
    public static partial void Release(nint completion);

    [LibraryImport(Rbd, EntryPoint = "rbd_aio_read")]
    public static partial int Read(nint image, ulong offset, nuint length, nint data, nint completion);

    [LibraryImport(Rbd, EntryPoint = "rbd_aio_write")]
    public static partial int Write(nint image, ulong offset, nuint length, nint data, nint completion);

    [LibraryImport(Rbd, EntryPoint = "rbd_aio_discard")]
    public static partial int Discard(nint image, ulong offset, ulong length, nint completion);

    [LibraryImport(Rbd, EntryPoint = "rbd_aio_write_zeroes")]
    public static partial int WriteZeroes(nint image, ulong offset, nuint length, nint completion, int flags, int operationFlags);

    [LibraryImport(Rbd, EntryPoint = "rbd_aio_flush")]
    public static partial int Flush(nint image, nint completion);
}

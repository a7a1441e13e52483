using System.Globalization;
using System.Runtime.InteropServices;
using Ublk.Interop;
using Ublk.Specification;

namespace Ublk.Targets.Rbd;

/// <summary>An open image with its connection to the cluster.</summary>
internal sealed unsafe class RbdImage : IDisposable
{
    // Many more than there are.
    private const int MaxSettings = 1024;
    private const int MaxIdLength = 256;
    private const int MaxFeaturesLength = 1024;

    private readonly RbdName _name;
    private readonly RbdCluster _cluster;
    private nint _image;
    private RbdState? _released;
    private string? _statePath;

    private RbdImage(RbdName name, RbdCluster cluster)
    {
        _name = name;
        _cluster = cluster;
    }

    /// <summary>librbd's handle.</summary>
    public nint Handle => _image;

    /// <summary>The size in bytes.</summary>
    public long Size { get; private set; }

    /// <summary>This client's address in the cluster, with which it has the lock; null for a reader.</summary>
    public string? LockOwner { get; private set; }

    /// <summary>Connects to a cluster and opens an image; for writing with its exclusive lock, which is not handed over.</summary>
    /// <param name="name">The image.</param>
    /// <param name="options">How the cluster is reached.</param>
    /// <param name="readOnly">Whether the image is only read, without a lock.</param>
    /// <exception cref="UblkException">The libraries are missing, or the cluster or the image cannot be used.</exception>
    public static RbdImage Open(RbdName name, TargetOptions options, bool readOnly) => Open(name, options, readOnly, image =>
    {
        if (!readOnly)
        {
            image.RequireDurability(options);
            image.Lock(options);
        }
    });

    /// <summary>Changes the size of an image that a worker has locked: librbd passes this on to the worker's own.</summary>
    /// <param name="name">The image.</param>
    /// <param name="options">How the cluster is reached.</param>
    /// <param name="size">The new size in bytes.</param>
    /// <exception cref="UblkException">The image cannot be opened, or cannot have this size.</exception>
    public static void Resize(RbdName name, TargetOptions options, long size) => Open(name, options, readOnly: false, image =>
        RbdError.Check(LibRbd.Resize(image._image, (ulong)size), $"change the size of {name} to {size} bytes")).Dispose();

    private static RbdImage Open(RbdName name, TargetOptions options, bool readOnly, Action<RbdImage> prepare)
    {
        RbdImage image = new(name, RbdCluster.Connect(name, options));
        try
        {
            image.Open(readOnly);
            prepare(image);
            return image;
        }
        catch (DllNotFoundException)
        {
            image.Dispose();
            throw RbdCluster.Missing(LibRbd.Rbd);
        }
        catch
        {
            image.Dispose();
            throw;
        }
    }

    /// <summary>What a user may want to know of the image, by name.</summary>
    /// <exception cref="UblkException">The cluster does not say.</exception>
    public IReadOnlyDictionary<string, string> Describe()
    {
        RbdError.Check(LibRbd.GetInfo(_image, out LibRbd.ImageInfo info, (nuint)sizeof(LibRbd.ImageInfo)), $"read what {_name} is like");
        Dictionary<string, string> properties = new()
        {
            ["ClusterId"] = _cluster.FindId(),
            ["ImageId"] = FindId(),
            ["Features"] = FindFeatures(),
            ["ObjectSize"] = info.ObjectSize.ToString(CultureInfo.InvariantCulture),
        };
        if (LockOwner is { } owner)
        {
            properties["LockOwner"] = owner;
        }

        return properties;
    }

    /// <summary>Makes librbd write to an eventfd whenever requests complete.</summary>
    /// <exception cref="UblkException">librbd refuses it.</exception>
    public void Notify(int file) =>
        RbdError.Check(LibRbd.SetNotification(_image, file, LibRbd.EVENT_TYPE_EVENTFD), "use an eventfd");

    /// <inheritdoc/>
    public void Dispose()
    {
        // Before the lock is given back: without that it would seem to have been taken.
        if (_statePath is { } path)
        {
            _ = _released!.TryWrite(path);
            _statePath = null;
        }

        // Closing the image flushes it, and gives the lock back.
        if (_image != 0)
        {
            _ = LibRbd.Close(_image);
            _image = 0;
        }

        _cluster.Dispose();
    }

    private void Open(bool readOnly)
    {
        int result = readOnly
            ? LibRbd.OpenReadOnly(_cluster.Pool, _name.Image, out _image, _name.Snapshot)
            : LibRbd.Open(_cluster.Pool, _name.Image, out _image, null);
        if (result < 0)
        {
            _image = 0;
            throw RbdError.Of(result, $"open the image {_name}",
                $"List the images: rbd ls {_name.Pool}{(_name.Namespace is null ? "" : $"/{_name.Namespace}")}",
                result == -Libc.ENOENT ? UblkError.PathNotFound : UblkError.OperationFailed);
        }

        RbdError.Check(LibRbd.GetSize(_image, out ulong size), $"read the size of {_name}");
        Size = (long)size;
    }

    // The settings of an image or its pool come before those of a client.
    private void RequireDurability(TargetOptions options)
    {
        if (options.Recovery != RecoveryMode.None && FindSetting(RbdCluster.CacheOption) == "true")
        {
            throw new UblkException(UblkError.NotSupported,
                $"{RbdCluster.CacheOption} is set for the image {_name} or its pool, so what is written would be lost with a worker. "
                    + $"Use -Recovery None, or run: rbd config image set {_name} {RbdCluster.CacheOption} false");
        }
    }

    private string? FindSetting(string name)
    {
        LibRbd.ConfigurationOption[] settings = new LibRbd.ConfigurationOption[MaxSettings];
        int count = MaxSettings;
        fixed (LibRbd.ConfigurationOption* start = settings)
        {
            RbdError.Check(LibRbd.ListConfiguration(_image, start, ref count), $"read the settings of {_name}");
            string? value = null;
            foreach (LibRbd.ConfigurationOption setting in settings.AsSpan(0, count))
            {
                value = Marshal.PtrToStringUTF8((nint)setting.Name) == name ? Marshal.PtrToStringUTF8((nint)setting.Value) : value;
            }

            LibRbd.FreeConfiguration(start, count);
            return value;
        }
    }

    private void Lock(TargetOptions options)
    {
        RbdLock imageLock = new(_image, _name);
        if (options.StatePath is not { } path)
        {
            LockOwner = imageLock.Acquire();
            return;
        }

        RbdState state = new($"{_cluster.FindId()}/{_cluster.FindPoolId()}/{_name.Namespace}/{FindId()}", Owner: null);
        Succeed(imageLock, RbdState.TryRead(path), state.ImageId, options);

        // From here on nothing is left of the last worker, whatever becomes of this one.
        state.Write(path);
        LockOwner = imageLock.Acquire();
        (state with { Owner = LockOwner }).Write(path);
        _released = state;
        _statePath = path;
    }

    private void Succeed(RbdLock imageLock, RbdState? former, string id, TargetOptions options)
    {
        if (options.MustHaveState && former?.ImageId != id)
        {
            throw Unlike(former is null
                ? $"{options.StatePath} is missing or damaged: it identifies the image {_name} and the last worker. Put it back, or remove "
                    + "the device."
                : $"{_name} is not the image that the device served: that one was removed, renamed or replaced. Put it back, or remove "
                    + "the device.");
        }

        // A dead worker keeps its lock until another client takes it, which may then have written what the disk's users do not know.
        if (former?.Owner is { } predecessor && !imageLock.TryBreak(predecessor, out string? owner) && options.MustHaveState)
        {
            throw Unlike($"Another client has locked the image {_name} since the last worker died, and may have changed it"
                + $"{(owner is null ? "" : $": the client at {owner}, which still has the lock")}. Remove the device and create it again.");
        }
    }

    private static UblkException Unlike(string message) => new(UblkError.InvalidBackingFile, message, operation: "recover");

    private string FindId()
    {
        byte* text = stackalloc byte[MaxIdLength];
        RbdError.Check(LibRbd.GetId(_image, text, MaxIdLength), $"read the id of {_name}");
        return Marshal.PtrToStringUTF8((nint)text)!;
    }

    private string FindFeatures()
    {
        byte* text = stackalloc byte[MaxFeaturesLength];
        nuint length = MaxFeaturesLength;
        RbdError.Check(LibRbd.GetFeatures(_image, out ulong features), $"read the features of {_name}");
        RbdError.Check(LibRbd.FormatFeatures(features, text, ref length), $"name the features of {_name}");
        return Marshal.PtrToStringUTF8((nint)text)!;
    }
}

using System.Security.Cryptography;
using Ublk.Files;
using Ublk.Images.Content;
using Ublk.Qcow2.AtRest;
using Ublk.Qcow2.Encryption;
using Ublk.Qcow2.Format;

namespace Ublk.Images;

/// <summary>An image on its way, with its external data file if it has one; nothing of it is seen before it is whole.</summary>
internal sealed class NewImage : IDisposable
{
    private readonly NewImageFile _file;
    private readonly NewImageFile? _dataFile;
    private bool _isBuilt;

    private NewImage(NewImageFile file, NewImageFile? dataFile, Qcow2Builder? builder)
    {
        _file = file;
        _dataFile = dataFile;
        Builder = builder;
    }

    /// <summary>What writes a qcow2 image; null for a raw one.</summary>
    public Qcow2Builder? Builder { get; }

    /// <summary>The file that has the data.</summary>
    public DiskFile DataFile => (_dataFile ?? _file).Content;

    /// <summary>Begins an image.</summary>
    /// <param name="path">The image's name.</param>
    /// <param name="options">What it is like.</param>
    /// <param name="size">Size of the disk in bytes.</param>
    /// <param name="replace">Whether files that are there give way.</param>
    /// <param name="source">The image that is copied into it; null where there is none.</param>
    /// <param name="temporaryName">The name in the same folder that it has until it is whole; null for a random one.</param>
    /// <exception cref="UblkException">An option is impossible, the backing file does not fit, or a name is taken.</exception>
    public static NewImage Begin(
        string path, NewImageOptions options, long size, bool replace, ImageContent? source = null, string? temporaryName = null)
    {
        string? dataPath = options.DataFile is { } name ? ImageReference.Resolve(path, name) : null;
        if (dataPath is not null && IsOneFile(path, dataPath))
        {
            throw new UblkException(UblkError.InvalidArgument,
                $"An image cannot be its own data file. Choose another -DataFile than {dataPath}.");
        }

        RequireOutside(source, path, dataPath);
        RequireNoOldData(options, path, dataPath);
        if (options.Format == ImageFormat.Raw)
        {
            RequireNoQcow2Options(options);
            return new NewImage(BeginRaw(path, size, replace, temporaryName), null, null);
        }

        ImageHeader header = NewImageHeader.Make(options, size, path);
        if (options.BackingFile is { } backing)
        {
            // It must be there, be what it is said to be, and not lead back here.
            using ImageContent chain = ImageChain.Open(ImageReference.Resolve(path, backing), options.BackingFormat, null, DiskFile.Open);
            RequireOutside(chain, path, dataPath);
        }

        NewImageFile file = new(path, replace, temporaryName);
        NewImageFile? data = null;
        try
        {
            data = dataPath is not null ? BeginRaw(dataPath, size, replace) : null;
            Qcow2Builder builder = new(new Qcow2File(file.Content, header), data?.Content);
            if (options.KeyFile is { } keyFile)
            {
                builder.AddLuks(MakeLuks(keyFile));
            }

            return new NewImage(file, data, builder);
        }
        catch
        {
            file.Dispose();
            data?.Dispose();
            throw;
        }
    }

    /// <summary>Writes what is still to be written, and shows the image.</summary>
    /// <exception cref="UblkException">That is impossible.</exception>
    public void Finish()
    {
        Build();
        _dataFile?.Finish();
        _file.Finish();
    }

    /// <summary>Writes the tables.</summary>
    public void Build()
    {
        if (!_isBuilt)
        {
            Builder?.Finish();
            _isBuilt = true;
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _file.Dispose();
        _dataFile?.Dispose();
    }

    private static NewImageFile BeginRaw(string path, long size, bool replace, string? temporaryName = null)
    {
        NewImageFile file = new(path, replace, temporaryName);
        try
        {
            file.Content.SetLength(size);
            return file;
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    // A block device keeps what it has where nothing is written, and that must not become part of the disk.
    private static void RequireNoOldData(NewImageOptions options, string path, string? dataPath)
    {
        bool showsRest = options.Format == ImageFormat.Raw || options.Preallocation != ImagePreallocation.Off;
        if ((showsRest && NewImageFile.IsOnDevice(path)) || (dataPath is not null && NewImageFile.IsOnDevice(dataPath)))
        {
            throw new UblkException(UblkError.NotSupported,
                $"The disk would show the data that {(dataPath is null ? path : dataPath)}, a block device, has now. Choose -Format Qcow2 "
                    + "without -Preallocation and -DataFile.");
        }
    }

    private static byte[] MakeLuks(string keyFile)
    {
        byte[] passphrase = KeyFile.Read(keyFile);
        try
        {
            return LuksFormat.Make(passphrase);
        }
        finally
        {
            CryptographicOperations.ZeroMemory(passphrase);
        }
    }

    private static bool IsOneFile(string one, string other) => FileIdentity.IsSame(one, other)
        || (Path.GetFileName(one) == Path.GetFileName(other)
            && FileIdentity.IsSame(Path.GetDirectoryName(one), Path.GetDirectoryName(other)));

    // What is read for the new image, now or later, is not what it takes the place of.
    private static void RequireOutside(ImageContent? chain, params string?[] targets)
    {
        for (ImageContent? layer = chain; layer is not null; layer = layer.Backing)
        {
            foreach (DiskFile file in (DiskFile[])[layer.File, layer.DataFile])
            {
                if (targets.FirstOrDefault(target => FileIdentity.IsSame(target, file.Path)) is { } target)
                {
                    throw new UblkException(UblkError.InvalidArgument,
                        $"{target} cannot be replaced: the new image would read it, as {chain!.File.Path} or a file behind that. Choose "
                            + "another name.");
                }
            }
        }
    }

    private static void RequireNoQcow2Options(NewImageOptions options)
    {
        bool hasAny = options with { Preallocation = ImagePreallocation.Off } != new NewImageOptions { Format = ImageFormat.Raw };
        if (hasAny)
        {
            throw new UblkException(UblkError.InvalidArgument,
                "A raw image has no options except -Size and -Preallocation. Choose -Format Qcow2 for the others.");
        }
    }
}

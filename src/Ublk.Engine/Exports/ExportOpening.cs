using Ublk.Exports.Server;
using Ublk.Files;
using Ublk.Images.Content;
using Ublk.Qcow2.Format;
using Ublk.Specification;
using Ublk.Targets;
using Ublk.Targets.Loop;
using Ublk.Targets.Qcow2;

namespace Ublk.Exports;

/// <summary>Opens what is exported, with the locks that a device would take.</summary>
internal static class ExportOpening
{
    /// <summary>Opens an image or a block device.</summary>
    /// <param name="specification">What is wanted.</param>
    /// <param name="warnings">Takes sentences the user should see although it works.</param>
    /// <param name="format">The format.</param>
    /// <exception cref="UblkException">It is missing, malformed, in use, or cannot be written.</exception>
    public static ExportedDisk Open(ExportSpecification specification, ICollection<string> warnings, out ImageFormat format)
    {
        bool isBlockDevice;
        using (DiskFile file = DiskFile.Open(specification.Path))
        {
            isBlockDevice = file.IsBlockDevice;
            format = specification.Format ?? (isBlockDevice ? ImageFormat.Raw : ImageChain.Detect(file));
        }

        RequireQcow2(specification, format);
        BlockTarget target = OpenTarget(specification, format, isBlockDevice, warnings);
        List<MetadataContext> contexts = [];
        try
        {
            // An image that is written changes under its description.
            if (target.Geometry.ReadOnly && !isBlockDevice)
            {
                AddContexts(contexts, specification, format, warnings);
            }

            return new ExportedDisk(specification.Name, target, contexts);
        }
        catch
        {
            contexts.ForEach(context => context.Dispose());
            target.Dispose();
            throw;
        }
    }

    private static void RequireQcow2(ExportSpecification specification, ImageFormat format)
    {
        if (format == ImageFormat.Raw && (specification.Snapshot ?? specification.KeyFile) is not null)
        {
            throw new UblkException(UblkError.UnsupportedOption,
                $"{specification.Path} is raw, without snapshots and passphrases. Leave out -Snapshot and -KeyFile.");
        }
    }

    // A disk that is used is read from the device itself, past the page cache: what its file system has written back is there.
    private static BlockTarget OpenTarget(
        ExportSpecification specification, ImageFormat format, bool isBlockDevice, ICollection<string> warnings)
    {
        Dictionary<string, string> options = new()
        {
            [DeviceSpecification.BackingPathOption] = specification.Path,
            ["DirectIO"] = isBlockDevice ? "true" : "false",
        };
        if (format == ImageFormat.Raw)
        {
            options["Format"] = nameof(ImageFormat.Raw);
        }
        else
        {
            Add(options, "BackingFormat", specification.BackingFormat?.ToString());
            Add(options, "Snapshot", specification.Snapshot);
            Add(options, "KeyFile", specification.KeyFile);
        }

        TargetOptions opened = new(options) { ReadOnly = !specification.Writable, QueueThreads = ExportServer.MaxClients };
        BlockTarget target = format == ImageFormat.Raw ? LoopTarget.Open(opened) : Qcow2Target.Open(opened);
        if (target.Geometry.ReadOnly && specification.Writable)
        {
            target.Dispose();
            throw new UblkException(UblkError.PermissionDenied,
                $"{specification.Path} cannot be opened for writing. Leave out -Writable.");
        }

        foreach (string warning in opened.Warnings)
        {
            warnings.Add(warning);
        }

        return target;
    }

    private static void AddContexts(
        List<MetadataContext> contexts, ExportSpecification specification, ImageFormat format, ICollection<string> warnings)
    {
        contexts.Add(new AllocationContext(
            ImageChain.Open(specification.Path, format, specification.BackingFormat, DiskFile.Open, specification.Snapshot)));
        if (format == ImageFormat.Raw || specification.Snapshot is not null)
        {
            return;
        }

        try
        {
            using DiskFile file = DiskFile.Open(specification.Path);
            foreach (PersistentBitmap bitmap in new ImageTables(file, ImageTables.ReadHeader(file)).ReadBitmaps())
            {
                if (bitmap.IsConsistent)
                {
                    AddBitmap(contexts, specification.Path, bitmap, warnings);
                }
                else
                {
                    warnings.Add($"The persistent bitmap '{bitmap.Name}' is not offered: it was not saved when the image was used last.");
                }
            }
        }
        catch (UblkException exception)
        {
            warnings.Add($"Not all persistent bitmaps are offered: {exception.Message}");
        }
    }

    private static void AddBitmap(List<MetadataContext> contexts, string path, PersistentBitmap bitmap, ICollection<string> warnings)
    {
        DiskFile file = DiskFile.Open(path);
        try
        {
            contexts.Add(new BitmapContext(file, bitmap));
        }
        catch (UblkException exception)
        {
            file.Dispose();
            warnings.Add($"The persistent bitmap '{bitmap.Name}' is not offered: {exception.Message}");
        }
    }

    private static void Add(Dictionary<string, string> options, string name, string? value)
    {
        if (value is not null)
        {
            options[name] = value;
        }
    }
}

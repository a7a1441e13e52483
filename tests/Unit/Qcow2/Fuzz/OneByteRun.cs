using System.Buffers.Binary;
using System.Diagnostics;
using Ublk.Images;
using Ublk.Tests.Qcow2.Crash;
using ImageProgress = Ublk.Qcow2.AtRest.ImageProgress;

namespace Ublk.Tests.Qcow2.Fuzz;

/// <summary>One image with one byte changed, and one operation that writes it.</summary>
internal sealed class OneByteRun : IDisposable
{
    public const string Refused = "refused";
    public const string Untouched = "untouched";
    public const string Written = "written";

    private const int VersionField = 7;
    private const int SizeField = 24;
    private const int FeaturesField = 79;
    private const int DirtyBit = 1;
    private const int DataFileBit = 4;
    private const long GreatestCopy = 64 << 20;
    private const long GreatestGrowth = 16 << 20;

    // Those that write damaged images, and do not refuse them, come more often.
    private static readonly string[] s_operations =
        ["repair", "repair", "repair", "serve", "serve", "optimize", "grow", "shrink", "snapshot", "remove snapshot"];


    private readonly DirectoryInfo _folder = Directory.CreateDirectory($"/dev/shm/ublk-sweep-{Guid.NewGuid():N}");
    private readonly ImageKind _kind;
    private readonly string _operation;
    private readonly byte[] _image;
    private readonly string _change;
    private readonly bool _hasDataFile;

    /// <summary>Chooses all by a seed.</summary>
    public OneByteRun(int seed)
    {
        Random random = new(seed);
        _kind = ImageKind.Get((int)((uint)seed % (uint)ImageKind.Count));
        _operation = s_operations[random.Next(s_operations.Length)];
        _image = [.. _kind.Files[SimulatedImage.Name]];
        int place = PlaceIn(_image, random);
        byte value = random.Next(4) switch
        {
            0 => (byte)(_image[place] ^ (1 << random.Next(8))),
            1 => (byte)(_image[place] + random.Next(-2, 3)),
            2 => new byte[] { 0, 1, 2, 4, 5, 10, 0x40, 0x80, 0xff }[random.Next(9)],
            _ => (byte)random.Next(256),
        };
        _change = $"byte {place} from {_image[place]:x2} to {value:x2}";
        _image[place] = value;
        if (_image[VersionField] == 3 && (_operation == "serve" || random.Next(8) == 0))
        {
            _image[FeaturesField] |= DirtyBit;
        }

        _hasDataFile = _image[VersionField] == 3 && (_image[FeaturesField] & DataFileBit) != 0 && _kind.Files.ContainsKey("data");
    }

    /// <summary>What is wrong; null if nothing.</summary>
    public string? Failure { get; private set; }

    private string Image => Path.Combine(_folder.FullName, "after", SimulatedImage.Name);

    /// <summary>Does it, and judges.</summary>
    /// <returns>What became of it.</returns>
    public string Go()
    {
        Save("before");
        Save("after");
        string outcome = Written;
        try
        {
            Operate();
        }
        catch (UblkException)
        {
            outcome = Refused;
        }
        catch (Exception exception)
        {
            Failure = $"an unexpected exception: {exception}";
            return "failed";
        }

        if (new FileInfo(Image).Length > _image.Length + GreatestGrowth)
        {
            Failure = $"the file has grown to {new FileInfo(Image).Length} bytes";
            return outcome;
        }

        if (File.ReadAllBytes(Image).AsSpan().SequenceEqual(_image))
        {
            return outcome == Written ? Untouched : outcome;
        }

        Judge();
        return outcome;
    }

    public override string ToString() => $"To {_operation} an image '{_kind.Name}' after {_change}";

    public void Dispose() => _folder.Delete(recursive: true);

    // In the header, in one of the tables, or anywhere else where something is.
    private static int PlaceIn(byte[] image, Random random)
    {
        List<int> tables = FuzzInput.TablesOf(image);
        while (true)
        {
            int place = random.Next(10) switch
            {
                < 3 => random.Next(112),
                < 4 => random.Next(112, 1024),
                < 9 => tables[random.Next(tables.Count)] + random.Next(96),
                _ => random.Next(image.Length),
            };
            if (place < image.Length && (place < 112 || image[place] != 0 || random.Next(4) == 0))
            {
                return place;
            }
        }
    }

    private void Save(string name)
    {
        DirectoryInfo folder = _folder.CreateSubdirectory(name);
        foreach ((string file, byte[] content) in _kind.Files)
        {
            File.WriteAllBytes(Path.Combine(folder.FullName, file), file == SimulatedImage.Name ? _image : content);
        }
    }

    private void Operate()
    {
        long size = _kind.Content.Length;
        switch (_operation)
        {
            case "serve":
                string key = Path.Combine(_folder.FullName, "after", "key");
                Qcow2Disk.Open(Image, File.Exists(key) ? [("KeyFile", key)] : []).Dispose();
                break;
            case "repair":
                new CheckImage { Path = Image, Repair = ImageRepair.All }.Run(ImageProgress.None);
                break;
            case "optimize":
                new OptimizeImage { Path = Image }.Run(ImageProgress.None);
                break;
            case "grow":
                new ResizeImage { Path = Image, Size = size + (64 << 10) }.Run(ImageProgress.None);
                break;
            case "shrink":
                new ResizeImage { Path = Image, Size = size / 2, Shrink = true }.Run(ImageProgress.None);
                break;
            case "snapshot":
                new CreateSnapshot { Path = Image, Name = "new" }.Run(ImageProgress.None);
                break;
            default:
                new RemoveSnapshot { Path = Image, Snapshot = "1" }.Run(ImageProgress.None);
                break;
        }
    }

    private void Judge()
    {
        (int status, string complaint) = Qemu("compare", "--image-opts", Source("before"), Source("after"));
        if (status == 0)
        {
            JudgeSnapshots();
        }
        else if (status == 1)
        {
            Failure = $"it changed what qemu reads: {complaint}";
        }
        else if (Qemu("compare", "--image-opts", Source("before"), Source("before")).Status == 0)
        {
            Failure = $"qemu cannot read any more what it could: {complaint}";
        }
        else if (Salvage("before") is { } before && Salvage("after") is { } after)
        {
            // What could not be read is zero in the copy.
            for (int position = 0; position < int.Min(before.Length, after.Length); position++)
            {
                if (before[position] != 0 && before[position] != after[position])
                {
                    Failure = $"it changed byte {position} of what qemu could read of a damaged disk";
                    return;
                }
            }
        }
    }

    private void JudgeSnapshots()
    {
        foreach (string snapshot in _kind.Snapshots.Keys.Skip(_operation == "remove snapshot" ? 1 : 0))
        {
            // qemu reads a snapshot as long as the disk is now.
            if (ReadSnapshot("before", snapshot) is { } before && ReadSnapshot("after", snapshot)?.AsSpan().StartsWith(before) != true)
            {
                Failure = $"it changed snapshot '{snapshot}' as qemu reads it";
            }
        }
    }

    private byte[]? ReadSnapshot(string name, string snapshot)
    {
        string copy = Path.Combine(_folder.FullName, $"{name}.raw");
        string source = Source(name, isWhole: true);
        return Qemu("convert", "--image-opts", "-l", $"snapshot.name={snapshot}", "-O", "raw", source, copy).Status == 0
            && new FileInfo(copy).Length <= GreatestCopy ? File.ReadAllBytes(copy) : null;
    }

    private byte[]? Salvage(string name)
    {
        string copy = Path.Combine(_folder.FullName, $"{name}.raw");
        return Qemu("convert", "--salvage", "--image-opts", "-O", "raw", Source(name), copy).Status == 0
            && new FileInfo(copy).Length <= GreatestCopy ? File.ReadAllBytes(copy) : null;
    }

    // Of a disk that gets another size, what it has before and after.
    private string Source(string name, bool isWhole = false)
    {
        string folder = Path.Combine(_folder.FullName, name);
        long kept = BinaryPrimitives.ReadInt64BigEndian(_image.AsSpan(SizeField)) & ~511L;
        kept = _operation == "shrink" ? long.Min(kept, _kind.Content.Length / 2) : kept;
        bool isPart = !isWhole && _operation is ("shrink" or "grow");
        (string wrap, string prefix) = isPart ? ($"driver=raw,size={kept},file.", "file.") : ("", "");
        return $"{wrap}driver=qcow2,{prefix}file.filename={folder}/{SimulatedImage.Name}"
            + (_hasDataFile ? $",{prefix}data-file.filename={folder}/data" : "")
            + (_kind.Files.ContainsKey("key") ? $",{prefix}encrypt.key-secret=key" : "");
    }

    private (int Status, string Output) Qemu(string command, params string[] arguments)
    {
        string[] secret = _kind.Files.ContainsKey("key") ? ["--object", $"secret,id=key,data={QemuImage.Passphrase}"] : [];
        using Process process = Process.Start(new ProcessStartInfo("qemu-img", [command, .. secret, .. arguments])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        Task<string> errors = process.StandardError.ReadToEndAsync(CancellationToken.None);
        string text = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, (text + errors.Result).Trim());
    }
}

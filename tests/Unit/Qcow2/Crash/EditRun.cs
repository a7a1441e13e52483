using System.Buffers.Binary;
using Ublk.Files;
using Ublk.Images;
using Ublk.Interop;
using Ublk.Qcow2.AtRest;
using Ublk.Qcow2.Format;

namespace Ublk.Tests.Qcow2.Crash;

/// <summary>One change of an image as a whole, during which the power is cut, or the host's file fails, at chosen moments.</summary>
internal sealed class EditRun : IDisposable
{
    private readonly Random _random;
    private readonly string _folder = Directory.CreateDirectory($"/dev/shm/ublk-edit-{Guid.NewGuid():N}").FullName;
    private readonly ImageOperation _operation;
    private readonly Dictionary<string, byte[]> _files;
    private readonly bool _isSound;
    private readonly Content _before;
    private readonly Content? _after;
    private int _changes;

    /// <summary>Sees what the operation does when nothing happens to it.</summary>
    /// <param name="files">The image's files.</param>
    /// <param name="operation">Makes the operation, of an image's path.</param>
    /// <param name="random">Chooses.</param>
    public EditRun(Dictionary<string, byte[]> files, Func<string, ImageOperation> operation, Random random)
    {
        _random = random;
        _files = files;
        _operation = operation(Path.Combine(_folder, SimulatedImage.Name));
        SimulatedDisk disk = NewDisk();
        SimulatedImage.Save(disk, _folder);
        _isSound = CheckOf(_operation.Path).Condition == ImageCondition.Clean;
        _before = ContentOf(disk);
        disk.Changed = () => _changes++;
        try
        {
            Do(disk);
            _after = ContentOf(disk);
        }
        catch (UblkException)
        {
            // It is refused: there is nothing to interrupt.
        }
    }

    /// <summary>Whether the image takes the change.</summary>
    public bool IsPossible => _after is not null;

    /// <summary>Does it, and cuts the power after a share of all changes.</summary>
    /// <returns>How often it was cut.</returns>
    public int CutPower(double share)
    {
        int cuts = 0;
        SimulatedDisk disk = NewDisk();
        disk.Changed = () =>
        {
            Assert.True(HeaderTailOf(disk).SequenceEqual(HeaderTailOf(_files[SimulatedImage.Name])),
                "The header has changed beyond its first sector, which is all that a power cut leaves whole.");
            if (_random.NextDouble() < share)
            {
                cuts++;
                Judge(disk.CutPower(_random), "a power cut", isEnded: false);
            }
        };
        Do(disk);
        return cuts;
    }

    /// <summary>Does it while one write, or one flush, fails.</summary>
    public void Fail()
    {
        SimulatedDisk disk = NewDisk();
        int errno = _random.Next(2) == 0 ? Libc.ENOSPC : Libc.EIO;
        int place = _random.Next(_changes);
        bool hasFailed = false;
        bool isLost = false;
        disk.Fault = isSync =>
        {
            if (hasFailed || place-- > 0)
            {
                return 0;
            }

            hasFailed = true;
            isLost = isSync;
            return isSync ? -Libc.EIO : -errno;
        };
        try
        {
            Do(disk);
        }
        catch (UblkException exception)
        {
            Assert.Contains(exception.Errno, new int?[] { Libc.EIO, errno });
        }

        Judge(disk, $"errno {errno}", isEnded: !isLost);
        Judge(disk.CutPower(_random), $"errno {errno} and a power cut", isEnded: false);
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private SimulatedDisk NewDisk()
    {
        SimulatedDisk disk = new(_random);
        foreach ((string name, byte[] content) in _files)
        {
            disk.Add(name, content);
        }

        return disk;
    }

    private void Do(SimulatedDisk disk) => (_operation with
    {
        OpenForWriting = path => new SimulatedDiskFile(disk.Files[Path.GetFileName(path)], path),
    }).Run(Ublk.Qcow2.AtRest.ImageProgress.None);

    // Whoever opens an image that is marked dirty puts its counts right first; one of version 2 has no such mark.
    private void Judge(SimulatedDisk disk, string what, bool isEnded)
    {
        string path = SimulatedImage.Save(disk, _folder);
        ImageCheckResult found = CheckOf(path);
        ImageHeader header = HeaderOf(path);
        bool mayBeRepaired = !isEnded && (!_isSound || header.Version == 2 || header.Incompatible.HasFlag(IncompatibleFeatures.Dirty));
        Assert.True(mayBeRepaired || !_isSound
            || found.Corruptions == 0, $"After {what} the image has errors:\n{string.Join("\n", found.Findings)}");
        if (found.Condition != ImageCondition.Clean || header.Incompatible.HasFlag(IncompatibleFeatures.Dirty))
        {
            ImageCheckResult repaired = new CheckImage { Path = path, Repair = ImageRepair.All }.Run(Ublk.Qcow2.AtRest.ImageProgress.None);
            Assert.True(repaired.Condition == ImageCondition.Clean,
                $"After {what} the image cannot be repaired:\n{string.Join("\n", repaired.Findings)}");
        }

        SimulatedDisk repairedDisk = new(_random);
        foreach (string name in _files.Keys)
        {
            repairedDisk.Add(name, File.ReadAllBytes(Path.Combine(_folder, name)));
        }

        Content content = ContentOf(repairedDisk);
        Assert.True(content.Equals(_before) || content.Equals(_after),
            $"After {what} the image is neither as before nor as after: it was [{_before}], was to be [{_after}], and is [{content}].");
        if (_random.Next(40) == 0)
        {
            SimulatedImage.CheckWithQemu(repairedDisk, _folder);
        }
    }

    private static ReadOnlySpan<byte> HeaderTailOf(SimulatedDisk disk) => HeaderTailOf(disk.Files[SimulatedImage.Name].Content);

    private static ReadOnlySpan<byte> HeaderTailOf(ReadOnlySpan<byte> image) =>
        image[DiskModel.Sector..(1 << BinaryPrimitives.ReadInt32BigEndian(image[20..]))];

    private static ImageHeader HeaderOf(string path)
    {
        using Qcow2File image = Qcow2File.Read(DiskFile.Open(path));
        return image.Header;
    }

    private static ImageCheckResult CheckOf(string path) => new CheckImage { Path = path }.Run(Ublk.Qcow2.AtRest.ImageProgress.None);

    private Content ContentOf(SimulatedDisk disk)
    {
        SimulatedImage.Save(disk, _folder);
        using Qcow2File image = Qcow2File.Read(DiskFile.Open(_operation.Path));
        return new Content(SimulatedImage.Read(disk),
            image.Snapshots.ToDictionary(snapshot => snapshot.Name, snapshot => SimulatedImage.Read(disk, snapshot.Name)),
            string.Join(", ", image.ReadBitmaps().Select(Describe)));

        string Describe(PersistentBitmap bitmap)
        {
            bool[]? changed = StoredBitmap.Read(_operation.Path, bitmap.Name, DiskModel.Sector);
            return $"{bitmap.Name}: {(changed is null ? "in use" : string.Concat(changed.Select(isSet => isSet ? 'x' : '-')))}";
        }
    }

    private sealed record Content(byte[] Disk, Dictionary<string, byte[]> Snapshots, string Bitmaps)
    {
        public bool Equals(Content? other) => other is not null && Disk.AsSpan().SequenceEqual(other.Disk)
            && Snapshots.Count == other.Snapshots.Count && Bitmaps == other.Bitmaps
            && Snapshots.All(snapshot =>
                other.Snapshots.TryGetValue(snapshot.Key, out byte[]? content) && content.AsSpan().SequenceEqual(snapshot.Value));

        public override int GetHashCode() => Disk.Length;

        public override string ToString() => $"{Disk.Length} bytes, snapshots {string.Join(", ", Snapshots.Keys)}, bitmaps {Bitmaps}";
    }
}

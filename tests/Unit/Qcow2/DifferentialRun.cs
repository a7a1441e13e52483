using Ublk.Files;
using Ublk.Images;
using Ublk.Io;
using Ublk.Qcow2.AtRest;
using Ublk.Targets.Qcow2;
using Ublk.Tests.Serving;

namespace Ublk.Tests.Qcow2;

/// <summary>
/// An image of random features in the hands of two: the target and our image operations, and qemu-io and qemu-img. A model knows what
/// the disk and its snapshots have to read as.
/// </summary>
internal sealed class DifferentialRun : IDisposable
{
    private const int Unit = 4096;
    private const int MaxSize = 3 << 20;
    private const int MaxCluster = 128 << 10;

    private readonly Random _random;
    private readonly QemuImage _image = new("1k");
    private readonly Dictionary<string, byte[]> _snapshots = [];
    private readonly List<string> _story = [];
    private readonly bool _isVersion2;
    private readonly bool _hasDataFile;
    private readonly bool _isRaw;
    private readonly bool _isEncrypted;
    private readonly bool _canCompress;
    private byte[] _model = new byte[1 << 20];
    private int _baseLength;
    private int _names;

    /// <summary>Makes the image.</summary>
    public DifferentialRun(Random random)
    {
        _random = random;
        _isVersion2 = random.Next(4) == 0;
        _hasDataFile = !_isVersion2 && random.Next(5) == 0;
        bool isExtended = !_isVersion2 && random.Next(3) == 0;
        NewImageOptions options = new()
        {
            Format = ImageFormat.Qcow2,
            Version = _isVersion2 ? 2 : 3,
            ClusterSize = 1 << random.Next(isExtended ? 14 : 9, 18),
            RefcountBits = _isVersion2 ? 16 : 1 << random.Next(_hasDataFile ? 0 : 2, 7),
            LazyRefcounts = !_isVersion2 && random.Next(2) == 0,
            ExtendedL2 = isExtended,
            CompressionType = _isVersion2 || random.Next(2) == 0 ? ImageCompression.Zlib : ImageCompression.Zstd,
            DataFile = _hasDataFile ? _image.PathOf("data") : null,
        };

        // Compressed clusters that share one of the file's, in several snapshots, are more than small counts can count.
        _canCompress = !_hasDataFile && options.RefcountBits >= 16;
        _isRaw = _hasDataFile && random.Next(2) == 0;
        _isEncrypted = !_isRaw && random.Next(4) == 0;
        if (_isRaw)
        {
            options = options with { DataFileRaw = true };
        }
        else if (random.Next(2) == 0)
        {
            options = options with { BackingFile = "base", BackingFormat = MakeBase() };
        }

        File.Delete(_image.Path);
        bool isOurs = !_isEncrypted && random.Next(2) == 0;
        _story.Add($"made by {(isOurs ? "us" : "qemu")}{(_isEncrypted ? ", encrypted" : "")}: {options}");
        if (isOurs)
        {
            new CreateImage { Path = _image.Path, Size = _model.Length, Options = options }.Run(ImageProgress.None);
        }
        else
        {
            MakeByQemu(options);
        }
    }

    /// <summary>What was done, in words.</summary>
    public string Story => string.Join("; ", _story);

    /// <summary>Takes turns.</summary>
    public void Go()
    {
        if (_canCompress && !_isEncrypted)
        {
            QemuWrites(" -c");
        }

        for (int turn = 0; turn < 3; turn++)
        {
            TargetWrites();
            ChangeWhole();
            Agree(_model);
            QemuWrites("");
            ChangeWhole();
        }

        using (Qcow2Target target = Open(readOnly: false))
        {
            Assert.True(_model.AsSpan().SequenceEqual(Qcow2Disk.Read(target)), "What qemu did last reads otherwise.");
        }

        foreach ((string name, byte[] content) in _snapshots)
        {
            using Qcow2Target target = Open(readOnly: true, ("Snapshot", name));
            Assert.True(content.AsSpan().SequenceEqual(Qcow2Disk.Read(target)), $"Snapshot {name} reads otherwise.");
            Shell.Run("qemu-img", ["convert", "-O", "raw", "-l", $"snapshot.name={name}", .. _image.Source, _image.PathOf("snapshot.raw")]);

            // qemu reads an old snapshot of another size as long as the disk is now.
            byte[] read = File.ReadAllBytes(_image.PathOf("snapshot.raw"));
            int common = int.Min(read.Length, content.Length);
            Assert.True(content.AsSpan(0, common).SequenceEqual(read.AsSpan(0, common)), $"qemu reads snapshot {name} otherwise.");
        }
    }

    public void Dispose() => _image.Dispose();

    private Qcow2Target Open(bool readOnly, params (string Name, string Value)[] options) =>
        Qcow2Disk.Open(_image.Path, readOnly, _image.KeyFile is { } key ? [.. options, ("KeyFile", key)] : options);

    private ImageFormat MakeBase()
    {
        byte[] content = new byte[_random.Next(2) == 0 ? _model.Length * 2 : _random.Next(1, _model.Length / Unit) * Unit];
        _random.NextBytes(content.AsSpan(0, content.Length / 2));
        content.AsSpan(0, int.Min(content.Length, _model.Length)).CopyTo(_model);
        _baseLength = content.Length;
        string format = _random.Next(2) == 0 ? "raw" : "qcow2";
        File.WriteAllBytes(_image.PathOf("base.raw"), content);
        Shell.Run("qemu-img", "convert", "-f", "raw", "-O", format, _image.PathOf("base.raw"), _image.PathOf("base"));
        return format == "raw" ? ImageFormat.Raw : ImageFormat.Qcow2;
    }

    private void MakeByQemu(NewImageOptions options)
    {
        string text = $"compat={(_isVersion2 ? "v2" : "v3")},cluster_size={options.ClusterSize},refcount_bits={options.RefcountBits}"
            + (options.LazyRefcounts ? ",lazy_refcounts=on" : "")
            + (options.ExtendedL2 == true ? ",extended_l2=on" : "")
            + (options.CompressionType == ImageCompression.Zstd ? ",compression_type=zstd" : "")
            + (options.DataFile is { } data ? $",data_file={data}" : "")
            + (options.DataFileRaw ? ",data_file_raw=on" : "");
        string[] more = options.BackingFile is null ? [] : ["-F", $"{options.BackingFormat}".ToLowerInvariant(), "-b", options.BackingFile];
        if (_isEncrypted)
        {
            _image.Encrypt($"{_model.Length}", "luks", text, more);
        }
        else
        {
            _image.Create("disk.qcow2", $"{_model.Length}", text, more);
        }
    }

    private void QemuWrites(string compressed)
    {
        List<string> commands = [];

        // What is compressed must be whole clusters, of which 128 KiB are the largest here, and nothing may be there.
        for (int number = 0; number < (compressed.Length > 0 ? 1 : 4); number++)
        {
            int unit = compressed.Length > 0 ? 128 << 10 : 512;
            int start = _random.Next(_model.Length / unit) * unit;
            int length = int.Min(unit * _random.Next(1, compressed.Length > 0 ? 3 : 200), _model.Length - start);
            byte fill = (byte)_random.Next(1, 256);
            (string command, byte value) = (compressed.Length > 0 ? 3 : _random.Next(4)) switch
            {
                0 => ($"write -z {start} {length}", (byte)0),
                _ => ($"write{compressed} -P {fill} {start} {length}", fill),
            };
            commands.Add(command);
            _model.AsSpan(start, length).Fill(value);
        }

        _story.Add($"qemu-io {string.Join(", ", commands)}");
        _image.Play([.. commands]);
    }

    private void TargetWrites()
    {
        string cache = _random.Next(2) == 0 ? "4096" : "1048576";
        _story.Add($"target writes, cache {cache}");
        using Qcow2Target target = Open(readOnly: false, ("Discard", "Zero"), ("CacheSize", cache));
        int unit = target.Geometry.LogicalBlockSize;
        QueueHarness.Run(target, harness =>
        {
            byte[] data = new byte[128 << 10];
            for (int number = 0; number < 30; number++)
            {
                int start = _random.Next(_model.Length / unit) * unit;
                int length = int.Min(unit * _random.Next(1, int.Max(2, data.Length / unit)), _model.Length - start);
                Do(harness, _random.Next(6), start, data.AsSpan(0, length));
            }
        }, bufferSize: 128 << 10);
    }

    private void Do(QueueHarness harness, int choice, int start, Span<byte> data)
    {
        switch (choice)
        {
            case 0:
                Assert.Equal(data.Length, harness.Answer(QueueHarness.Describe(IoOperation.Read, start, data.Length), data));
                Assert.True(_model.AsSpan(start, data.Length).SequenceEqual(data));
                break;
            case 1:
                Assert.Equal(0, harness.Answer(QueueHarness.Describe(IoOperation.Flush)));
                break;
            case 2:
                IoOperation zero = _random.Next(2) == 0 ? IoOperation.Discard : IoOperation.WriteZeroes;
                Assert.Equal(0, harness.Answer(QueueHarness.Describe(zero, start, data.Length)));
                _model.AsSpan(start, data.Length).Clear();
                break;
            default:
                _random.NextBytes(data);
                Assert.Equal(data.Length, harness.Answer(QueueHarness.Describe(IoOperation.Write, start, data.Length), data));
                data.CopyTo(_model.AsSpan(start));
                break;
        }
    }

    // One of the two changes the image as a whole.
    private void ChangeWhole()
    {
        bool isOurs = _random.Next(2) == 0;
        switch (_random.Next(5))
        {
            case 0:
                Resize(isOurs);
                break;
            case 1 or 2 when !_hasDataFile:
                string name = $"s{_names++}";
                Snapshot(isOurs, "-c", name, new CreateSnapshot { Path = _image.Path, Name = name });
                _snapshots[name] = [.. _model];
                break;
            case 3 when _snapshots.Count > 0:
                string restored = _snapshots.Keys.ElementAt(_random.Next(_snapshots.Count));
                Snapshot(isOurs, "-a", restored, new RestoreSnapshot { Path = _image.Path, Snapshot = restored });
                _model = [.. _snapshots[restored]];
                break;
            case 4 when _snapshots.Count > 0:
                string removed = _snapshots.Keys.ElementAt(_random.Next(_snapshots.Count));
                Snapshot(isOurs, "-d", removed, new RemoveSnapshot { Path = _image.Path, Snapshot = removed });
                _snapshots.Remove(removed);
                break;
        }
    }

    private void Snapshot(bool isOurs, string option, string name, ImageOperation ours)
    {
        _story.Add($"{(isOurs ? "our" : "qemu's")} snapshot {option} {name}");
        if (isOurs)
        {
            ours.Run(ImageProgress.None);
        }
        else
        {
            _image.Snapshot(option, name);
        }
    }

    // Neither resizes an image of version 2 with snapshots, nor takes the end from one with snapshots.
    private void Resize(bool isOurs)
    {
        int size = _random.Next(1, MaxSize / Unit) * Unit;

        // What qemu leaves in the last cluster when the disk gets shorter it shows when it gets longer.
        size = size < _model.Length ? int.Max(size / MaxCluster * MaxCluster, MaxCluster) : size;
        if (_snapshots.Count > 0 && (_isVersion2 || size < _model.Length))
        {
            return;
        }

        // What a longer backing file has beyond the end makes us refuse, and qemu make zero clusters, which version 2 has not.
        if (_isVersion2 && size > _model.Length && _baseLength > _model.Length)
        {
            return;
        }

        isOurs &= size < _model.Length || _baseLength <= _model.Length;
        _story.Add($"{(isOurs ? "our" : "qemu's")} resize to {size}");
        if (isOurs)
        {
            new ResizeImage { Path = _image.Path, Size = size, Shrink = true }.Run(ImageProgress.None);
        }
        else
        {
            Shell.Run("qemu-img", ["resize", "-q", "--shrink", .. _image.Source, $"{size}"]);
        }

        Array.Resize(ref _model, size);
    }

    private void Agree(byte[] model)
    {
        _image.Check();
        Assert.True(model.AsSpan().SequenceEqual(_image.Read()), "qemu reads otherwise than was written.");
        if (_isRaw)
        {
            byte[] data = File.ReadAllBytes(_image.PathOf("data"));
            Array.Resize(ref data, model.Length);
            Assert.True(model.AsSpan().SequenceEqual(data), "The raw data file is not the disk.");
        }
    }
}

using Ublk.Interop;

namespace Ublk.Tests.Qcow2.Crash;

/// <summary>A file of a <see cref="SimulatedDisk"/>: what programs see of it, what is durable, and the changes between.</summary>
/// <param name="disk">Its disk.</param>
/// <param name="name">Its name.</param>
/// <param name="content">Its durable content, which is the file's from now on.</param>
internal sealed class SimulatedFile(SimulatedDisk disk, string name, byte[] content)
{
    private const int Sector = 512;
    private const int MaxLength = 64 << 20;

    private readonly List<Change> _changes = [];
    private byte[] _now = content;

    // Apart from what programs see once that changes: most copies are only looked at.
    private byte[]? _durable;
    private int _length = content.Length;
    private long _count;

    /// <summary>Its disk.</summary>
    public SimulatedDisk Disk => disk;

    /// <summary>Its name.</summary>
    public string Name => name;

    /// <summary>Bytes.</summary>
    public int Length => _length;

    /// <summary>What programs see.</summary>
    public ReadOnlySpan<byte> Content => _now.AsSpan(0, _length);

    /// <summary>Reads; less at the end.</summary>
    public int Read(Span<byte> buffer, long offset)
    {
        int length = (int)long.Clamp(_length - offset, 0, buffer.Length);
        _now.AsSpan((int)long.Min(offset, _length), length).CopyTo(buffer);
        return length;
    }

    /// <summary>Writes. A durable write through the page cache reports what was lost, of any data, as a flush does.</summary>
    public int Write(ReadOnlySpan<byte> data, long offset, bool durable)
    {
        int written = Apply(data.ToArray(), offset, data.Length, durable && !disk.IsCached, data.Length);
        int synced = written >= 0 && durable && disk.IsCached ? EndSync(BeginSync()) : 0;
        return synced < 0 ? synced : written;
    }

    /// <summary>ftruncate(2).</summary>
    public int SetLength(long length)
    {
        if (length >= _length)
        {
            return length == _length ? 0 : Apply(null, _length, length - _length, durable: false, 0);
        }

        if (disk.Fault?.Invoke(false) is int errno and < 0)
        {
            return errno;
        }

        _durable ??= [.. Content];
        _changes.Add(new Change(_count++, (int)length, 0, null));
        _length = (int)length;
        disk.Changed?.Invoke();
        return 0;
    }

    /// <summary>fallocate(2).</summary>
    public int Allocate(int mode, long offset, long length)
    {
        if (mode == 0)
        {
            return offset + length <= _length ? 0 : Apply(null, _length, offset + length - _length, durable: false, 0);
        }

        Assert.Equal(Libc.FALLOC_FL_PUNCH_HOLE | Libc.FALLOC_FL_KEEP_SIZE, mode);
        long end = long.Min(offset + length, _length);
        return end <= offset ? 0 : Apply(null, offset, end - offset, durable: false, 0);
    }

    /// <summary>What a flush that begins now makes durable: give it to <see cref="EndSync"/>.</summary>
    public long BeginSync() => _count;

    /// <summary>A flush has ended.</summary>
    public int EndSync(long mark)
    {
        // The kernel tells once that it lost something, and then knows no more of it than what programs see.
        int errno = disk.Fault?.Invoke(true) ?? 0;
        _durable ??= [.. Content];
        foreach (Change change in _changes.Where(change => change.Number < mark))
        {
            change.ApplyTo(ref _durable, sector => errno == 0 || sector % 2 == 0);
        }

        _changes.RemoveAll(change => change.Number < mark);
        disk.Changed?.Invoke();
        return errno;
    }

    /// <summary>What a power cut may leave: of each sector, any of the contents it had since it was durable.</summary>
    public byte[] AfterPowerCut(Random random)
    {
        byte[] content = _durable is null ? Content.ToArray() : [.. _durable];
        int kind = random.Next(6);
        int favourite = random.Next(_changes.Count + 1);
        for (int index = 0; index < _changes.Count; index++)
        {
            bool coin = random.Next(2) == 0;
            int number = index;
            _changes[index].ApplyTo(ref content, kind switch
            {
                0 => _ => false,
                1 => _ => true,
                2 => _ => random.Next(2) == 0,
                3 => _ => coin,
                4 => _ => number == favourite,
                _ => _ => number != favourite,
            });
        }

        return content;
    }

    private int Apply(byte[]? data, long offset, long length, bool durable, int result)
    {
        if (offset < 0 || offset + length > MaxLength)
        {
            return -Libc.ENOSPC;
        }

        if (disk.Fault?.Invoke(false) is int errno and < 0)
        {
            return errno;
        }

        _durable ??= [.. Content];

        // A hole may begin anywhere; what lies between is written in sectors.
        Change change = new(_count++, (int)offset, (int)length, data);
        int end = (int)(offset + length);
        if (end > _now.Length)
        {
            Array.Resize(ref _now, int.Max(end, _now.Length * 2));
        }

        if (end > _length)
        {
            // What another length had left there.
            _now.AsSpan(_length, end - _length).Clear();
            _length = end;
        }

        Span<byte> place = _now.AsSpan((int)offset, (int)length);
        if (data is null)
        {
            place.Clear();
        }
        else
        {
            data.CopyTo(place);
        }

        if (durable)
        {
            foreach (Change earlier in _changes)
            {
                earlier.Supersede((int)offset, end);
            }

            change.ApplyTo(ref _durable, static _ => true);
        }
        else
        {
            _changes.Add(change);
        }

        disk.Changed?.Invoke();
        return result;
    }

    // Without a length it cuts the file off.
    private sealed class Change(long number, int offset, int length, byte[]? data)
    {
        private readonly HashSet<int> _superseded = [];

        public long Number => number;

        // What was made durable later must not be undone.
        public void Supersede(int start, int end)
        {
            for (int sector = int.Max(start, offset) / Sector; sector * Sector < int.Min(end, offset + length); sector++)
            {
                _superseded.Add(sector);
            }
        }

        public void ApplyTo(ref byte[] content, Func<int, bool> survives)
        {
            if (length == 0)
            {
                content = survives(offset / Sector) ? content[..int.Min(offset, content.Length)] : content;
                return;
            }

            int end = offset + length;
            for (int start = offset; start < end;)
            {
                int next = int.Min(end, ((start / Sector) + 1) * Sector);
                if (!_superseded.Contains(start / Sector) && survives(start / Sector))
                {
                    if (content.Length < next)
                    {
                        Array.Resize(ref content, next);
                    }

                    if (data is null)
                    {
                        content.AsSpan(start, next - start).Clear();
                    }
                    else
                    {
                        data.AsSpan(start - offset, next - start).CopyTo(content.AsSpan(start));
                    }
                }

                start = next;
            }
        }
    }
}

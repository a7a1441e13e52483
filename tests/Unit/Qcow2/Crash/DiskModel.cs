using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace Ublk.Tests.Qcow2.Crash;

/// <summary>What each sector of a disk may read as. Every sector that is written bears its number and its generation.</summary>
internal sealed class DiskModel
{
    /// <summary>Bytes in a sector.</summary>
    public const int Sector = 512;

    private const long Initial = 0;
    private const long Zeroes = -1;

    private readonly byte[] _initial;
    private readonly History[] _sectors;
    private long _generation;

    /// <summary>A disk that nobody has written yet.</summary>
    public DiskModel(byte[] initial)
    {
        _initial = initial;
        _sectors = new History[initial.Length / Sector];
        for (int sector = 0; sector < _sectors.Length; sector++)
        {
            _sectors[sector] = new History { Versions = [Initial] };
        }
    }

    /// <summary>Sectors of the disk.</summary>
    public int Count => _sectors.Length;

    /// <summary>Begins a write of sectors that no other write is at; fills its data.</summary>
    public void BeginWrite(int first, int count, Span<byte> data)
    {
        for (int number = 0; number < count; number++)
        {
            _sectors[first + number].Versions.Add(++_generation);
            Fill(data.Slice(number * Sector, Sector), first + number, _generation);
        }
    }

    /// <summary>Begins to make sectors read as zeroes, or perhaps so.</summary>
    public void BeginZero(int first, int count)
    {
        for (int sector = first; sector < first + count; sector++)
        {
            _sectors[sector].Versions.Add(Zeroes);
        }
    }

    /// <summary>What was begun has been answered.</summary>
    public void Answer(int first, int count, bool durable)
    {
        for (int sector = first; sector < first + count; sector++)
        {
            ref History history = ref _sectors[sector];
            history.Answered = history.Versions.Count - 1;
            history.Flushed = durable ? history.Answered : history.Flushed;
        }
    }

    /// <summary>What a flush that begins now promises.</summary>
    public int[] BeginFlush() => [.. _sectors.Select(history => history.Answered)];

    /// <summary>A flush was answered.</summary>
    public void EndFlush(int[] promised)
    {
        for (int sector = 0; sector < _sectors.Length; sector++)
        {
            _sectors[sector].Flushed = int.Max(_sectors[sector].Flushed, promised[sector]);
        }
    }

    /// <summary>The first sector that does not read as it may, in words; null for none.</summary>
    /// <param name="data">What was read.</param>
    /// <param name="first">The first sector.</param>
    /// <param name="afterPowerCut">Whether what was not flushed may be missing.</param>
    public string? FindWrong(ReadOnlySpan<byte> data, int first, bool afterPowerCut)
    {
        for (int number = 0; number < data.Length / Sector; number++)
        {
            History history = _sectors[first + number];
            int oldest = afterPowerCut ? history.Flushed : history.Answered;
            ReadOnlySpan<byte> content = data.Slice(number * Sector, Sector);
            if (VersionOf(content, first + number, CollectionsMarshal.AsSpan(history.Versions)[oldest..]) is null)
            {
                string possible = string.Join(", ", history.Versions[oldest..]);
                return $"sector {first + number} is {Describe(content)}; it may be one of [{possible}] "
                    + $"of [{string.Join(", ", history.Versions)}] (0: as it was, -1: zeroes)";
            }
        }

        return null;
    }

    /// <summary>Goes on from what was read after a crash.</summary>
    public void Settle(ReadOnlySpan<byte> disk)
    {
        for (int sector = 0; sector < _sectors.Length; sector++)
        {
            List<long> versions = _sectors[sector].Versions;
            long version = VersionOf(disk.Slice(sector * Sector, Sector), sector, CollectionsMarshal.AsSpan(versions))!.Value;
            _sectors[sector] = new History { Versions = [version] };
        }
    }

    private long? VersionOf(ReadOnlySpan<byte> content, int sector, ReadOnlySpan<long> versions)
    {
        foreach (long version in versions)
        {
            bool isIt = version switch
            {
                Initial => content.SequenceEqual(_initial.AsSpan(sector * Sector, Sector)),
                Zeroes => !content.ContainsAnyExcept((byte)0),
                _ => IsWritten(content, sector, version),
            };
            if (isIt)
            {
                return version;
            }
        }

        return null;
    }

    private static bool IsWritten(ReadOnlySpan<byte> data, int sector, long version)
    {
        for (int place = 0; place < Sector; place += 16)
        {
            if (BinaryPrimitives.ReadInt64LittleEndian(data[place..]) != sector + 1
                || BinaryPrimitives.ReadInt64LittleEndian(data[(place + 8)..]) != version)
            {
                return false;
            }
        }

        return true;
    }

    private static void Fill(Span<byte> data, int sector, long version)
    {
        for (int place = 0; place < Sector; place += 16)
        {
            BinaryPrimitives.WriteInt64LittleEndian(data[place..], sector + 1);
            BinaryPrimitives.WriteInt64LittleEndian(data[(place + 8)..], version);
        }
    }

    private static string Describe(ReadOnlySpan<byte> content) => content.IndexOfAnyExcept((byte)0) < 0
        ? "zeroes"
        : $"'{BinaryPrimitives.ReadInt64LittleEndian(content) - 1}, generation {BinaryPrimitives.ReadInt64LittleEndian(content[8..])}'";

    private struct History
    {
        public List<long> Versions;
        public int Flushed;
        public int Answered;
    }
}

namespace Ublk.Counters;

/// <summary>Something that a target counts for its users to see: they find it by its name in what Get-UblkDevice shows.</summary>
/// <remarks>
/// Counting takes no lock, so that it costs nothing; where several threads count at the same moment, a few may be missed.
/// </remarks>
public sealed unsafe class TargetCounter
{
    /// <summary>The most characters of a name.</summary>
    public const int MaxNameLength = 48;

    // Neither may move while a thread counts.
    private readonly long[] _own = GC.AllocateArray<long>(1, pinned: true);
    private long* _place;

    /// <summary>Begins at 0.</summary>
    /// <param name="name">Letters and digits of ASCII, at most <see cref="MaxNameLength"/>.</param>
    /// <exception cref="ArgumentException">The name has other characters, too many characters, or is empty.</exception>
    public TargetCounter(string name)
    {
        if (name.Length is 0 or > MaxNameLength || !name.All(char.IsAsciiLetterOrDigit))
        {
            throw new ArgumentException($"'{name}' is not a valid name for a counter.", nameof(name));
        }

        Name = name;
        ReturnHome();
    }

    /// <summary>What is counted.</summary>
    public string Name { get; }

    /// <summary>How many there were.</summary>
    public long Value => Volatile.Read(ref *_place);

    /// <summary>Counts more.</summary>
    public void Add(long count = 1) => *_place += count;

    /// <summary>Counts elsewhere from now on; no thread counts meanwhile.</summary>
    /// <param name="place">Where; it must stay until <see cref="ReturnHome"/>.</param>
    internal void MoveTo(long* place)
    {
        *place = *_place;
        _place = place;
    }

    /// <summary>Counts in memory of its own again; no thread counts meanwhile.</summary>
    internal void ReturnHome()
    {
        fixed (long* own = _own)
        {
            if (_place != null)
            {
                *own = *_place;
            }

            _place = own;
        }
    }
}

namespace Ublk.Qcow2.AtRest;

/// <summary>What a check has found so far.</summary>
internal sealed class CheckFindings
{
    /// <summary>The most findings with a text of their own.</summary>
    public const int MaxTexts = 100;

    private readonly List<string> _texts = [];

    /// <summary>Contradictions that endanger data.</summary>
    public long Corruptions { get; private set; }

    /// <summary>Description of the first contradiction that cannot be repaired, or null.</summary>
    public string? Damage { get; private set; }

    /// <summary>Clusters that take room and belong to nothing.</summary>
    public long Leaks { get; private set; }

    /// <summary>The first of them, in words.</summary>
    public IReadOnlyList<string> Texts => _texts;

    /// <summary>A contradiction that cannot be repaired, such as an entry that points nowhere.</summary>
    public void AddDamage(string text)
    {
        Damage ??= text;
        AddCorruption(text);
    }

    /// <summary>A contradiction.</summary>
    public void AddCorruption(string text)
    {
        Corruptions++;
        Add(text);
    }

    /// <summary>A leaked cluster.</summary>
    public void AddLeak(string text)
    {
        Leaks++;
        Add(text);
    }

    private void Add(string text)
    {
        if (_texts.Count < MaxTexts)
        {
            _texts.Add(text);
        }
    }
}

namespace Ublk.PowerShell;

/// <summary>How far some work is, how fast it goes, and how long it will take.</summary>
/// <param name="Done">Bytes done.</param>
/// <param name="Total">Bytes there are; 0 where that is not known.</param>
/// <param name="Elapsed">The time it took.</param>
internal readonly record struct ImageRate(long Done, long Total, TimeSpan Elapsed)
{
    /// <summary>The share that is done; -1 where that is not known.</summary>
    public int Percent => Total > 0 ? (int)(double.Min(Done, Total) / Total * 100) : -1;

    /// <summary>The seconds it will take; -1 where that is not known.</summary>
    public int SecondsLeft =>
        Total > 0 && Done > 0 ? (int)double.Min(Elapsed.TotalSeconds * long.Max(0, Total - Done) / Done, int.MaxValue) : -1;

    /// <summary>A sentence with what is done and the rate.</summary>
    public string Describe(string step)
    {
        if (Total <= 0)
        {
            return step;
        }

        string done = $"{step}: {HumanSize.Format(long.Min(Done, Total))} of {HumanSize.Format(Total)}";
        return Elapsed.TotalSeconds > 0.5 ? $"{done}, {HumanSize.Format((long)(Done / Elapsed.TotalSeconds))}/s" : done;
    }
}

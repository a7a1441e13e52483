namespace Ublk.Plot;

/// <summary>A dot on a line from the least to the greatest, and perhaps a cross.</summary>
internal sealed record Mark(double Dot, double Min, double Max, double? Cross = null)
{
    /// <summary>The median between its extremes.</summary>
    public static Mark Of(Spread spread) => new(spread.Median, spread.Min, spread.Max);
}

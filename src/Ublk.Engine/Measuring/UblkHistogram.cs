using System.Globalization;

namespace Ublk.Measuring;

/// <summary>A step of a histogram.</summary>
/// <param name="Least">The least value in it.</param>
/// <param name="Greatest">The greatest value in it.</param>
/// <param name="Count">How many are in it.</param>
public readonly record struct UblkHistogramStep(double Least, double Greatest, long Count);

/// <summary>How often which values came: the steps in which there are any, from the least.</summary>
public sealed class UblkHistogram
{
    internal UblkHistogram(IReadOnlyList<UblkHistogramStep> steps)
    {
        Steps = steps;
        Count = steps.Sum(step => step.Count);
    }

    /// <summary>The steps.</summary>
    public IReadOnlyList<UblkHistogramStep> Steps { get; }

    /// <summary>How many values there are.</summary>
    public long Count { get; }

    /// <summary>The value that a share of all values does not exceed, to the width of a step; null where there are none.</summary>
    /// <param name="share">From 0 to 1.</param>
    public double? Quantile(double share)
    {
        long wanted = Math.Max(1, (long)Math.Ceiling(share * Count));
        long seen = 0;
        foreach (UblkHistogramStep step in Steps)
        {
            seen += step.Count;
            if (seen >= wanted)
            {
                return (step.Least + step.Greatest) / 2;
            }
        }

        return null;
    }

    /// <summary>The same with fewer steps.</summary>
    /// <param name="greatest">What the greatest value is of the step that a step becomes part of.</param>
    public UblkHistogram Merge(Func<UblkHistogramStep, double> greatest) => new(
    [
        .. Steps.GroupBy(greatest).Select(group => new UblkHistogramStep(group.First().Least, group.Key, group.Sum(step => step.Count))),
    ]);

    /// <summary>Each step's greatest value and its count, such as <c>4096:17 65536:3</c>.</summary>
    public override string ToString() => string.Join(' ', Steps.Select(
        step => string.Create(CultureInfo.InvariantCulture, $"{step.Greatest:0.###}:{step.Count}")));
}

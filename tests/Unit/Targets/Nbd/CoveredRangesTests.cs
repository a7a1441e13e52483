using CsCheck;
using Ublk.Targets.Nbd;

namespace Ublk.Tests.Targets.Nbd;

public class CoveredRangesTests
{
    private const int Size = 40;

    [Fact]
    public void Any_ranges_are_covered_as_in_a_bitmap()
    {
        CoveredRanges ranges = new();
        Gen.Select(Gen.Int[0, Size - 1], Gen.Int[1, 12]).List[1, 40].Sample(list =>
        {
            bool[] model = new bool[Size];
            ranges = new CoveredRanges();
            foreach ((int start, int wanted) in list)
            {
                int length = int.Min(wanted, Size - start);
                bool isFree = !model.AsSpan(start, length).Contains(true);
                Assert.Equal(isFree, ranges.TryAdd(start, length));
                if (isFree)
                {
                    model.AsSpan(start, length).Fill(true);
                }

                Assert.Equal(!model.Contains(false), ranges.IsComplete(Size));
            }
        }, threads: 1);
    }

    [Fact]
    public void Every_second_byte_of_much_is_too_many_pieces()
    {
        CoveredRanges ranges = new();
        Assert.All(Enumerable.Range(0, 4096), number => Assert.True(ranges.TryAdd(number * 2, 1)));
        Assert.False(ranges.TryAdd(10_000, 1));
        Assert.True(ranges.TryAdd(1, 1));
    }
}

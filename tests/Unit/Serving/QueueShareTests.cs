using Ublk.Serving;

namespace Ublk.Tests.Serving;

/// <summary>The threads of a queue have all of its tags between them, and each has some.</summary>
public class QueueShareTests
{
    [Theory]
    [InlineData(128, 1)]
    [InlineData(128, 2)]
    [InlineData(128, 3)]
    [InlineData(64, 7)]
    [InlineData(5, 3)]
    [InlineData(4, 4)]
    [InlineData(4096, 4096)]
    public void Each_tag_is_one_threads(int depth, int threads)
    {
        int[][] tags = [.. Enumerable.Range(0, threads).Select(index => new QueueShare(0, index, threads).TagsOf(depth))];
        Assert.Equal(Enumerable.Range(0, depth), tags.SelectMany(own => own).Order());
        Assert.DoesNotContain(tags, own => own.Length == 0);
    }

    [Theory]
    [InlineData(128, 2)]
    [InlineData(128, 3)]
    [InlineData(64, 7)]
    public void Threads_have_about_as_many(int depth, int threads)
    {
        int[] counts = [.. Enumerable.Range(0, threads).Select(index => new QueueShare(0, index, threads).TagsOf(depth).Length)];
        Assert.InRange(counts.Max() - counts.Min(), 0, 8);
    }

    [Fact]
    public void Neighbours_stay_together() =>
        Assert.Equal([.. Enumerable.Range(8, 8), .. Enumerable.Range(24, 8)], new QueueShare(0, 1, 2).TagsOf(32));
}

using Ublk.Files;
using Ublk.Images;

namespace Ublk.Tests.Images;

/// <summary>An image that is written cluster by cluster.</summary>
public sealed class NewImageTests : IDisposable
{
    private readonly ImageFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    // Of clusters this small a table has 64.
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Clusters_may_come_in_any_order(bool compress)
    {
        const int Cluster = 512;
        byte[] content = new byte[1 << 20];
        int[] positions = [.. Enumerable.Range(0, content.Length / Cluster).Where(cluster => cluster % 3 > 0)];
        new Random(1).Shuffle(positions);
        using (NewImage image = NewImage.Begin(
            _folder["new.qcow2"], new NewImageOptions { Format = ImageFormat.Qcow2, ClusterSize = Cluster }, content.Length, false))
        {
            foreach (int position in positions)
            {
                Span<byte> cluster = content.AsSpan(position * Cluster, Cluster);
                cluster.Fill((byte)(position | 1));
                if (compress && position % 2 == 0)
                {
                    image.Builder!.WriteCompressed(position * Cluster, Deflate(cluster));
                }
                else
                {
                    image.Builder!.Write(position * Cluster, cluster);
                }
            }

            image.Finish();
        }

        File.WriteAllBytes(_folder["expected"], content);
        Shell.Run("qemu-img", "check", "-q", _folder["new.qcow2"]);
        Shell.Run("qemu-img", "compare", "-q", "-f", "raw", "-F", "qcow2", _folder["expected"], _folder["new.qcow2"]);
    }

    private static byte[] Deflate(ReadOnlySpan<byte> data)
    {
        using MemoryStream compressed = new();
        using (System.IO.Compression.DeflateStream stream = new(compressed, System.IO.Compression.CompressionLevel.Fastest))
        {
            stream.Write(data);
        }

        return compressed.ToArray();
    }
}

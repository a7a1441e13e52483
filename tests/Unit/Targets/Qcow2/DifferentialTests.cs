using Ublk.Serving;
using Ublk.Targets.Qcow2;
using Ublk.Tests.Serving;

namespace Ublk.Tests.Targets.Qcow2;

/// <summary>
/// Random combinations of features: what qemu-io and the target write by turns, both read. UBLK_SEEDS tells how many (6 by default),
/// UBLK_SEED the first.
/// </summary>
public class DifferentialTests
{
    private const int Size = 1 << 20;

    [Fact]
    public void Target_and_qemu_write_the_same_image_by_turns_and_agree_on_all_of_it()
    {
        int first = Number("UBLK_SEED") ?? 0;
        for (int seed = first; seed < first + (Number("UBLK_SEEDS") ?? 6); seed++)
        {
            try
            {
                Go(new Random(seed));
            }
            catch (Exception exception)
            {
                throw new InvalidOperationException($"Seed {seed}: {exception.Message} Replay it with UBLK_SEED={seed} UBLK_SEEDS=1.", exception);
            }
        }
    }

    private static void Go(Random random)
    {
        using QemuImage image = new("1k");
        byte[] model = new byte[Size];
        bool isVersion2 = random.Next(4) == 0;
        bool isExtended = !isVersion2 && random.Next(3) == 0;
        bool hasDataFile = !isVersion2 && random.Next(5) == 0;
        int clusterBits = random.Next(isExtended ? 14 : 9, 18);
        string options = $"compat={(isVersion2 ? "v2" : "v3")},cluster_size={1 << clusterBits}"
            + (isVersion2 ? "" : $",refcount_bits={1 << random.Next(hasDataFile ? 0 : 2, 7)},lazy_refcounts={(random.Next(2) == 0 ? "on" : "off")}")
            + (isExtended ? ",extended_l2=on" : "")
            + (isVersion2 || random.Next(2) == 0 ? "" : ",compression_type=zstd")
            + (hasDataFile ? $",data_file={image.PathOf("data")}" : "");
        string[] more = random.Next(2) == 0 ? [] : MakeBase(image, random, model);
        File.Delete(image.Path);
        image.Create("disk.qcow2", $"{Size}", options, more);
        if (!hasDataFile)
        {
            QemuWrites(image, random, model, " -c");
        }

        byte[]? kept = null;
        for (int turn = 0; turn < 3; turn++)
        {
            TargetWrites(image, random, model);
            Agree(image, model);
            QemuWrites(image, random, model, "");
            if (turn == 0 && !hasDataFile)
            {
                Shell.Run("qemu-img", "snapshot", "-c", "kept", image.Path);
                kept = [.. model];
            }
        }

        using (Qcow2Target target = Qcow2Disk.Open(image.Path))
        {
            Assert.True(model.AsSpan().SequenceEqual(Qcow2Disk.Read(target)), $"What qemu-io wrote last reads otherwise ({options}).");
        }

        if (kept is not null)
        {
            Shell.Run("qemu-img", "snapshot", "-a", "kept", image.Path);
            Agree(image, kept);
        }
    }

    private static string[] MakeBase(QemuImage image, Random random, byte[] model)
    {
        byte[] content = new byte[random.Next(2) == 0 ? Size * 2 : random.Next(1, Size / 512) * 512];
        random.NextBytes(content.AsSpan(0, content.Length / 2));
        content.AsSpan(0, int.Min(content.Length, Size)).CopyTo(model);
        string format = random.Next(2) == 0 ? "raw" : "qcow2";
        File.WriteAllBytes(image.PathOf("base.raw"), content);
        Shell.Run("qemu-img", "convert", "-f", "raw", "-O", format, image.PathOf("base.raw"), image.PathOf("base"));
        return ["-F", format, "-b", "base"];
    }

    private static void QemuWrites(QemuImage image, Random random, byte[] model, string compressed)
    {
        List<string> commands = [];

        // What is compressed must be whole clusters, of which 128 KiB are the largest here, and nothing may be there.
        for (int number = 0; number < (compressed.Length > 0 ? 1 : 4); number++)
        {
            int unit = compressed.Length > 0 ? 128 << 10 : 512;
            int start = random.Next(Size / unit) * unit;
            int length = int.Min(unit * random.Next(1, compressed.Length > 0 ? 3 : 200), Size - start);
            byte fill = (byte)random.Next(1, 256);
            commands.Add($"write{compressed} -P {fill} {start} {length}");
            model.AsSpan(start, length).Fill(fill);
        }

        image.Play([.. commands]);
    }

    private static void TargetWrites(QemuImage image, Random random, byte[] model)
    {
        using Qcow2Target target = Qcow2Disk.Open(image.Path, ("Discard", "Zero"), ("CacheSize", random.Next(2) == 0 ? "4096" : "1048576"));
        int unit = target.Geometry.LogicalBlockSize;
        QueueHarness.Run(target, harness =>
        {
            byte[] data = new byte[128 << 10];
            for (int number = 0; number < 30; number++)
            {
                int start = random.Next(Size / unit) * unit;
                int length = int.Min(unit * random.Next(1, int.Max(2, data.Length / unit)), Size - start);
                Span<byte> part = data.AsSpan(0, length);
                switch (random.Next(6))
                {
                    case 0:
                        Assert.Equal(length, harness.Answer(QueueHarness.Describe(IoOperation.Read, start, length), part));
                        Assert.True(model.AsSpan(start, length).SequenceEqual(part));
                        break;
                    case 1:
                        Assert.Equal(0, harness.Answer(QueueHarness.Describe(IoOperation.Flush)));
                        break;
                    case 2:
                        IoOperation zero = random.Next(2) == 0 ? IoOperation.Discard : IoOperation.WriteZeroes;
                        Assert.Equal(0, harness.Answer(QueueHarness.Describe(zero, start, length)));
                        model.AsSpan(start, length).Clear();
                        break;
                    default:
                        random.NextBytes(part);
                        Assert.Equal(length, harness.Answer(QueueHarness.Describe(IoOperation.Write, start, length), part));
                        part.CopyTo(model.AsSpan(start));
                        break;
                }
            }
        }, bufferSize: 128 << 10);
    }

    private static void Agree(QemuImage image, byte[] model)
    {
        image.Check();
        Assert.True(model.AsSpan().SequenceEqual(image.Read()), "qemu reads otherwise than was written.");
    }

    private static int? Number(string name) => int.TryParse(Environment.GetEnvironmentVariable(name), out int number) ? number : null;
}

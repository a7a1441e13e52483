using CsCheck;
using Ublk.Qcow2.Format;

namespace Ublk.Tests.Qcow2.Format;

/// <summary>The snapshot table as qemu writes it, and as nobody should.</summary>
public class SnapshotTableTests
{
    private const string Name = "disk.qcow2";

    [Theory]
    [InlineData("compat=v2")]
    [InlineData("compat=v3")]
    public void Snapshots_are_what_qemu_took_and_written_as_they_were_read(string options)
    {
        using QemuImage image = new("10M", options);
        Shell.Run("qemu-img", "snapshot", "-c", "one", image.Path);
        if (options == "compat=v3")
        {
            Shell.Run("qemu-img", "resize", "-q", image.Path, "20M");
        }

        long size = image.Info().GetProperty("virtual-size").GetInt64();
        Shell.Run("qemu-img", "snapshot", "-c", "zweiter Schnappschuß", image.Path);
        ImageHeader header = ImageHeaderTests.Read(image.Path).Header;
        byte[] file = File.ReadAllBytes(image.Path);
        var snapshots = SnapshotTable.Parse(
            file.AsSpan((int)header.SnapshotsOffset), header.SnapshotCount, header.Layout, Name, out int length);
        Assert.Equal([("1", "one", 10L << 20), ("2", "zweiter Schnappschuß", size)],
            snapshots.Select(snapshot => (snapshot.Id, snapshot.Name, snapshot.DiskSize!.Value)));
        Assert.All(snapshots, snapshot =>
            Assert.InRange(snapshot.Created, DateTimeOffset.UtcNow.AddHours(-1), DateTimeOffset.UtcNow.AddHours(1)));

        // The padding of the last entry is beyond the file's end.
        Array.Resize(ref file, file.Length + 8);
        Assert.Equal(file.AsSpan((int)header.SnapshotsOffset, length).ToArray(), SnapshotTable.ToBytes(snapshots));
    }

    [Fact]
    public void No_mutation_of_a_table_does_more_than_fail_clearly()
    {
        byte[] table = SnapshotTable.ToBytes(
        [
            new Snapshot { L1Offset = 0x30000, L1Size = 1, Id = "1", Name = "one", DiskSize = 1 << 20, InstructionCount = 0 },
            new Snapshot { L1Offset = 0x40000, L1Size = 1, Id = "2", Name = "two" },
        ]);
        Gen.Select(Gen.Int[0, table.Length - 1], Gen.Byte).List[1, 6].Sample(changes =>
        {
            byte[] forged = [.. table];
            foreach ((int position, byte value) in changes)
            {
                forged[position] = value;
            }

            try
            {
                SnapshotTable.Parse(forged, 2, new ClusterLayout(16, 4, false), Name, out _);
            }
            catch (UblkException)
            {
            }
        }, iter: 2000);
    }
}

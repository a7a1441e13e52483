using Ublk.Devices;
using Ublk.Launching;
using Ublk.Specification;
using Xunit;

namespace Ublk.Tests.Launching;

public sealed class DeviceSnapshotTests
{
    [Fact]
    public void A_file_on_a_held_disk_is_refused()
    {
        using TemporaryFile file = new(0);
        string path = $"{file.Path}.qcow2";
        string mount = Path.GetDirectoryName(file.Path)!;

        NextDisk.RequireElsewhere(path, [(2, "/proc"), (3, "/no such folder")], "Use another.");
        UblkException error = Assert.Throws<UblkException>(
            () => NextDisk.RequireElsewhere(path, [(2, "/proc"), (3, mount)], "Use another."));
        Assert.Equal($"{path} is on the disk of device 3 itself. Use another.", error.Message);
        Assert.Throws<UblkException>(() => NextDisk.RequireElsewhere(file.Path, [(3, mount)], ""));
    }

    [Fact]
    public void A_report_that_throws_does_not_end_the_work()
    {
        List<string> steps = [];
        Action<string> report = StepReports.Guard<string>(step =>
        {
            steps.Add(step);
            throw new InvalidOperationException();
        });
        report("one");
        report("two");
        Assert.Equal(["one", "two"], steps);
    }

    [Fact]
    public void A_record_with_another_image_or_other_filters_is_another_disk()
    {
        DeviceRecord record = Record();
        Assert.True(record.HasSameDisk(Record() with { SupervisorId = 7 }));
        Assert.False(record.HasSameDisk(Record() with { Generation = 2 }));
        Assert.False(record.HasSameDisk(Record() with { BackingPath = "/other" }));
        Assert.False(record.HasSameDisk(Record() with { Specification = record.Specification with { Cookie = 6 } }));
        Assert.False(record.HasSameDisk(Record() with { Specification = record.Specification with { Filters = [] } }));

        static DeviceRecord Record() => new()
        {
            Specification = new DeviceSpecification
            {
                Target = "Qcow2",
                Cookie = 5,
                Filters = [new UblkFilter("Delay", new Dictionary<string, string> { ["Delay"] = "3" })],
            },
            BackingPath = "/disk",
            Generation = 1,
            ProcessId = 1,
            StartTime = default,
        };
    }
}

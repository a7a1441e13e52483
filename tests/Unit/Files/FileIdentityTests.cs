using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Ublk.Devices;
using Ublk.Files;

namespace Ublk.Tests.Files;

/// <summary>A file is the one of a record by more than its inode, which is used again.</summary>
public class FileIdentityTests
{
    private static readonly FileIdentity File = new(1, 8, 2, BirthTime: 5);
    private static readonly FileIdentity Disk = new(0, 8, 16, DiskSequence: 7);

    [Fact]
    public void A_file_has_its_time_of_birth()
    {
        using TemporaryFile file = new(0);
        long? birth = FileIdentity.Of(file.Path)!.Value.BirthTime;
        Assert.SkipWhen(birth is null, "this file system keeps no time of birth");
        Assert.Equal(System.IO.File.GetCreationTimeUtc(file.Path), DateTime.UnixEpoch.AddTicks(birth!.Value / 100));
        using Microsoft.Win32.SafeHandles.SafeFileHandle handle = System.IO.File.OpenHandle(file.Path);
        Assert.Equal(FileIdentity.Of(file.Path), FileIdentity.Of(handle));
    }

    [Fact]
    public void A_process_shows_whether_its_file_has_a_name()
    {
        using TemporaryFile file = new(0);
        FileIdentity identity = FileIdentity.Of(file.Path)!.Value;
        Assert.Null(identity.IsDeletedIn(Environment.ProcessId));
        using Microsoft.Win32.SafeHandles.SafeFileHandle handle = System.IO.File.OpenHandle(file.Path);
        Assert.False(identity.IsDeletedIn(Environment.ProcessId));
        System.IO.File.Move(file.Path, $"{file.Path} moved");
        Assert.False(identity.IsDeletedIn(Environment.ProcessId));
        System.IO.File.Delete($"{file.Path} moved");
        Assert.True(identity.IsDeletedIn(Environment.ProcessId));
    }

    [Fact]
    public void A_file_that_was_made_later_is_another_one_whatever_its_inode()
    {
        Assert.True(File.Matches(File));
        Assert.False((File with { BirthTime = 6 }).Matches(File));
        Assert.False((File with { Inode = 2 }).Matches(File));
        Assert.False((File with { Minor = 3 }).Matches(File));
    }

    [Fact]
    public void A_disk_that_was_plugged_in_later_is_another_one_whatever_its_number()
    {
        Assert.True(Disk.Matches(Disk));
        Assert.False((Disk with { DiskSequence = 8 }).Matches(Disk));
    }

    [Fact]
    public void What_a_record_of_an_older_version_does_not_say_is_not_compared()
    {
        Assert.True(File.Matches(File with { BirthTime = null }));
        Assert.True(Disk.Matches(Disk with { DiskSequence = null }));
    }

    [Fact]
    public void A_record_keeps_it_and_one_of_an_older_version_is_read_without()
    {
        DeviceRecord record = new()
        {
            Specification = new() { Id = 1, Target = "Loop" }, ProcessId = 1, StartTime = DateTime.UnixEpoch, BackingPath =
                "/nowhere/at/all", BackingFile = File,
            SupervisorId = 7, SupervisorStartTicks = 8, Overlays =
                new Dictionary<string, OverlayIdentity> { ["/a"] = new(ulong.MaxValue, Disk) },
        };
        byte[] text = JsonSerializer.SerializeToUtf8Bytes(record, RecordJson.Default.DeviceRecord);
        DeviceRecord read = DeviceRecord.TryParse(text, isOthers: true)!;
        Assert.Equal((File, 7, 8L), (read.BackingFile!.Value, read.SupervisorId, read.SupervisorStartTicks));
        Assert.Equal(record.Overlays, read.Overlays);

        // What cannot be looked at is not compared.
        DeviceRecord accepted = read.AcceptFiles();
        Assert.Null(accepted.BackingFile);
        Assert.Equal(new OverlayIdentity(ulong.MaxValue, null), accepted.Overlays["/a"]);

        JsonObject old = JsonNode.Parse(text)!.AsObject();
        Assert.True(old.Remove("Overlays") && old.Remove("SupervisorStartTicks"));
        Assert.True(old["BackingFile"]!.AsObject().Remove("BirthTime"));
        DeviceRecord older = DeviceRecord.TryParse(Encoding.UTF8.GetBytes(old.ToJsonString()), isOthers: false)!;
        Assert.Empty(older.Overlays);
        Assert.Equal((File with { BirthTime = null }, 0L), (older.BackingFile!.Value, older.SupervisorStartTicks));
    }

    [Fact]
    public void A_block_device_has_the_number_of_its_disk()
    {
        string? disk = Directory.Exists("/sys/block")
            ? Directory.EnumerateFileSystemEntries("/sys/block")
                .FirstOrDefault(path => Path.Exists($"/dev/{Path.GetFileName(path)}") && Path.Exists($"{path}/diskseq"))
            : null;
        Assert.SkipWhen(disk is null, "there is no block device here");
        FileIdentity identity = FileIdentity.Of($"/dev/{Path.GetFileName(disk)}")!.Value;
        Assert.Equal(System.IO.File.ReadAllText($"{disk}/diskseq").Trim(), $"{identity.DiskSequence}");
    }
}

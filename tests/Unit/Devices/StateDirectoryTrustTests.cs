using Microsoft.Win32.SafeHandles;
using Ublk.Counters;
using Ublk.Devices;
using Ublk.Files;
using Ublk.Interop;
using Ublk.Qcow2.State;
using Ublk.Specification;

namespace Ublk.Tests.Devices;

/// <summary>What others can write is neither believed nor written to, and what is written nobody else can read.</summary>
public sealed class StateDirectoryTrustTests : IDisposable
{
    private const int Id = 3;
    private const ulong Cookie = 0xC0FFEE;
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
    private const UnixFileMode OwnerReadsAndWrites = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    private readonly string _root = Directory.CreateDirectory($"/dev/shm/ublk-state-{Guid.NewGuid():N}").FullName;
    private readonly StateDirectory _state;

    public StateDirectoryTrustTests() => _state = new StateDirectory(Libc.GetEffectiveUserId(), Folder);

    private string Folder => $"{_root}/ublk";

    private string RecordPath => $"{Folder}/{Id}.json";

    private static DeviceRecord Record => new()
    {
        Specification = new DeviceSpecification { Id = Id, Target = "Null", Cookie = Cookie }, ProcessId = 1, StartTime =
            DateTime.UnixEpoch,
        BackingFile = new FileIdentity(ulong.MaxValue, 8, 1),
    };

    public void Dispose() => Directory.Delete(_root, recursive: true);

    [Fact]
    public void Nobody_else_reads_or_writes_what_is_kept()
    {
        WriteAll();
        WriteJournal.Open(_state.TargetStatePath(Id, Cookie, 0), (1, 2), 1 << 16, mustExist: false).Dispose();
        Assert.Equal(OwnerOnly, File.GetUnixFileMode(Folder));
        string[] files = Directory.GetFiles(Folder);
        Assert.Equal(4, files.Length);
        Assert.All(files, file => Assert.Equal(OwnerReadsAndWrites, File.GetUnixFileMode(file)));
    }

    [Theory]
    [InlineData("another user's")]
    [InlineData("open to others")]
    [InlineData("open to a group")]
    [InlineData("a link")]
    [InlineData("a file")]
    public void A_directory_that_somebody_made_before_is_refused(string kind)
    {
        WriteAll();
        switch (kind)
        {
            case "another user's":
                OtherUser.Give(Folder);
                break;
            case "open to others":
                File.SetUnixFileMode(Folder, OwnerOnly | UnixFileMode.OtherWrite);
                break;
            case "open to a group":
                File.SetUnixFileMode(Folder, OwnerOnly | UnixFileMode.GroupWrite);
                break;
            case "a link":
                Directory.Move(Folder, $"{_root}/real");
                File.CreateSymbolicLink(Folder, $"{_root}/real");
                break;
            default:
                Directory.Delete(Folder, recursive: true);
                File.WriteAllText(Folder, "");
                break;
        }

        Assert.Null(_state.TryRead(Id));
        Assert.Null(_state.TryReadCounters(Id));
        foreach (Action use in (Action[])[() => _state.Write(Record), WriteAll, () => _state.TryLockDevice(Id)?.Dispose()])
        {
            Assert.Equal(UblkError.StateDirectoryNotWritable, Assert.Throws<UblkException>(use).Error);
        }
    }

    [Theory]
    [InlineData("another user's")]
    [InlineData("a link")]
    [InlineData("a pipe")]
    [InlineData("a directory")]
    [InlineData("too long")]
    public void A_record_that_is_not_the_users_own_file_is_rejected(string kind)
    {
        WriteAll();
        DeviceRecord read = _state.TryRead(Id)!;
        Assert.Equal((Cookie, Record.BackingFile), (read.Specification.Cookie, read.BackingFile));
        switch (kind)
        {
            case "another user's":
                OtherUser.Give(RecordPath);
                break;
            case "a link":
                File.Move(RecordPath, $"{Folder}/real");
                File.CreateSymbolicLink(RecordPath, $"{Folder}/real");
                break;
            case "a pipe":
                File.Delete(RecordPath);
                Shell.Run("mkfifo", RecordPath);
                break;
            case "a directory":
                File.Delete(RecordPath);
                Directory.CreateDirectory(RecordPath);
                break;
            default:
                File.AppendAllText(RecordPath, new string(' ', 16 << 20));
                break;
        }

        Assert.Null(_state.TryRead(Id));
    }

    [Theory]
    [InlineData("{0}")]
    [InlineData("")]
    [InlineData("null")]
    [InlineData("{{\"Specification\":null,\"ProcessId\":1,\"StartTime\":\"2026-01-01\"}}")]
    [InlineData("{{\"BackingPath\":\"\\ud800\"}}")]
    [InlineData("{{\"BackingPath\":\"\\u001b]0;owned\\u0007\",{1}")]
    [InlineData("{{\"BackingPath\":\"\u009b31m\",{1}")]
    [InlineData("{{\"\\u001b[2J\":0,{1}")]
    public void What_another_user_wrote_harms_nobody_who_reads_it(string format)
    {
        WriteAll();
        string record = File.ReadAllText(RecordPath);
        string text = string.Format(System.Globalization.CultureInfo.InvariantCulture, format, record, record[1..]);
        File.WriteAllText(RecordPath, text);
        OtherUser.Give(RecordPath);
        OtherUser.Give(Folder);
        DeviceRecord? read = new StateDirectory(OtherUser.Id, Folder).TryRead(Id);
        Assert.Equal(format == "{0}" ? Cookie : null, read?.Specification?.Cookie);
        Assert.True(read is null || read.Specification is not null);
    }

    [Fact]
    public void What_lies_under_the_name_of_a_file_to_be_is_not_followed()
    {
        WriteAll();
        string victim = $"{_root}/victim";
        File.WriteAllText(victim, "mine");
        foreach (string name in (string[])["json", "counters"])
        {
            File.CreateSymbolicLink($"{Folder}/{Id}.{name}.{Cookie:x16}", victim);
        }

        WriteAll();
        Assert.Equal("mine", File.ReadAllText(victim));
        Assert.Equal(Cookie, _state.TryRead(Id)!.Specification.Cookie);
        Assert.Equal(Cookie, CounterHeader.CookieOf(_state.TryReadCounters(Id)!));
    }

    [Fact]
    public void The_files_of_another_device_are_not_deleted()
    {
        WriteAll();
        _state.Delete(Id, Cookie + 1);
        Assert.NotNull(_state.TryRead(Id));
        Assert.NotNull(_state.TryReadCounters(Id));
        _state.Delete(Id, Cookie);
        Assert.Equal([$"{Folder}/lock"], Directory.GetFiles(Folder));
    }

    private void WriteAll()
    {
        using SafeFileHandle counters = _state.CreateCounters(Id, CounterHeader.Of(Cookie, 1));
        using SafeFileHandle? idLock = _state.TryLockDevice(Id);
        _state.Write(Record);
    }
}

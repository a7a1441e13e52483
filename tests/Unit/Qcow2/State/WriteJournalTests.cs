using Ublk.Qcow2.State;

namespace Ublk.Tests.Qcow2.State;

/// <summary>A journal that lacks records is refused, until a flush has made them needless.</summary>
public sealed class WriteJournalTests : IDisposable
{
    // More than half of what a half of the journal holds.
    private const int Many = 5000;

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("ublk-test-");
    private readonly WriteJournal _journal;

    public WriteJournalTests() => _journal = WriteJournal.Open($"{_folder}/journal", (1, 1), 65536, mustExist: false);

    public void Dispose()
    {
        _journal.Dispose();
        _folder.Delete(recursive: true);
    }

    [Fact]
    public void A_successful_flush_completes_a_journal_that_failed_flushes_left_incomplete()
    {
        FailFlushes();
        Assert.Throws<UblkException>(_journal.Read);
        _journal.AddTable(1, 65536);
        _journal.BeginFlush();
        _journal.AddTable(2, 65536);
        Assert.Throws<UblkException>(_journal.Read);
        _journal.EndFlush(succeeded: true);
        Assert.Equal(2, Assert.Single(_journal.Read()).Position);
    }

    [Fact]
    public void Records_that_find_no_room_during_a_flush_leave_it_incomplete()
    {
        FailFlushes();
        _journal.BeginFlush();
        Add(2 * Many);
        _journal.EndFlush(succeeded: true);
        Assert.Throws<UblkException>(_journal.Read);
        _journal.BeginFlush();
        _journal.EndFlush(succeeded: true);
        Assert.Empty(_journal.Read());
    }

    private void FailFlushes()
    {
        Add(Many);
        _journal.BeginFlush();
        Add(Many);
        _journal.EndFlush(succeeded: false);
    }

    private void Add(int count)
    {
        for (int number = 0; number < count; number++)
        {
            _journal.AddTable(number, 65536);
        }
    }
}

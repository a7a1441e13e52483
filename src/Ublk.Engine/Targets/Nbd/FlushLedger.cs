namespace Ublk.Targets.Nbd;

/// <summary>
/// Whether writes that were answered may be lost with a server's volatile cache: those since the last flush, when its session ended. The
/// next flush then fails, once, as fsync does after an error of write-back.
/// </summary>
/// <remarks>Any thread may call.</remarks>
internal sealed class FlushLedger
{
    private long _written;
    private long _flushed;
    private int _isLossDue;

    /// <summary>How many writes were answered: a flush that is sent now covers them.</summary>
    public long Written => Volatile.Read(ref _written);

    /// <summary>Counts a write that was answered.</summary>
    public void AddWrite() => Interlocked.Increment(ref _written);

    /// <summary>A flush was answered.</summary>
    /// <param name="written">What <see cref="Written"/> was when it was sent.</param>
    public void Cover(long written)
    {
        for (long flushed = Volatile.Read(ref _flushed); flushed < written;)
        {
            long found = Interlocked.CompareExchange(ref _flushed, written, flushed);
            flushed = found == flushed ? written : found;
        }
    }

    /// <summary>The session ended: what was not flushed may be lost.</summary>
    /// <returns>Whether there is such a write, so that a flush has to fail.</returns>
    public bool Lose()
    {
        long written = Written;
        if (written > Volatile.Read(ref _flushed))
        {
            Cover(written);
            Volatile.Write(ref _isLossDue, 1);
        }

        return Volatile.Read(ref _isLossDue) != 0;
    }

    /// <summary>Whether a flush has to fail, which then is the one that does.</summary>
    public bool TakeLoss() => Volatile.Read(ref _isLossDue) != 0 && Interlocked.Exchange(ref _isLossDue, 0) != 0;
}

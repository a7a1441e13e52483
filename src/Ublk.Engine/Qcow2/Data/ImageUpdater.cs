using Ublk.Files;
using Ublk.Io;
using Ublk.Qcow2.Format;
using Ublk.Qcow2.Metadata;
using Ublk.Qcow2.State;

namespace Ublk.Qcow2.Data;

/// <summary>Changes an open image: what it takes to write, beside what it takes to read.</summary>
internal sealed class ImageUpdater : IDisposable
{
    private readonly AsyncMutex _beginning = new();
    private readonly ImageState _image;
    private readonly MetadataFlusher _flusher;
    private readonly ImageWriter _writer;
    private readonly ZeroWriter _zeroes;
    private readonly BackingPuller _puller;
    private readonly JournalReplay _replay;
    private readonly BitmapKeeper _bitmaps;
    private readonly DirtyBitmap[] _tracking;
    private bool _hasBegun;

    /// <summary>Puts the parts together.</summary>
    /// <param name="layer">The image, open for writing.</param>
    /// <param name="flusher">What writes its metadata back; owned by this object.</param>
    /// <param name="bitmaps">What keeps its bitmaps true; owned by this object.</param>
    public ImageUpdater(Qcow2Layer layer, MetadataFlusher flusher, BitmapKeeper bitmaps)
    {
        _image = layer.State;
        _flusher = flusher;
        _bitmaps = bitmaps;
        _tracking = [.. bitmaps.All];
        ClusterAllocator allocator = flusher.Allocator;
        TableWriter tables = new(_image, layer.Tables, allocator);
        _replay = new JournalReplay(_image, layer.Tables, tables, allocator);
        ClusterMap map = layer.Reader.Map;
        AllocatingWriter allocatingWriter = new(_image, map, tables, allocator, new CopyOnWrite(_image, layer.Reader), _flusher);
        _writer = new ImageWriter(_image, map, layer.Tables, allocatingWriter);
        _puller = new BackingPuller(_image, map, layer.Tables, allocatingWriter, layer.Backing);
        _zeroes = new ZeroWriter(_image, map, layer.Tables, tables, layer.Reader, _writer, _flusher, layer.Backing);
    }

    /// <summary>Sentences that the user should see, about persistent bitmaps that are not kept true.</summary>
    public IReadOnlyList<string> Warnings => _bitmaps.Warnings;

    /// <summary>Writes a buffer.</summary>
    /// <param name="buffer">The data.</param>
    /// <param name="offset">First byte on the disk.</param>
    /// <param name="durable">Whether it must be durable when it is written.</param>
    /// <returns>0 or a negative errno.</returns>
    public IoTask<int> WriteAsync(IoBuffer buffer, long offset, bool durable)
    {
        Mark(offset, buffer.Length);
        return durable || !IsReady ? WriteSlowlyAsync(buffer, offset, durable) : _writer.WriteAsync(buffer, offset, durable: false);
    }

    /// <summary>Zeroes or discards a range.</summary>
    /// <returns>0 or a negative errno.</returns>
    public async IoTask<int> ZeroAsync(long offset, long length, ZeroKind kind, bool durable)
    {
        Mark(offset, length);
        int result = IsReady ? 0 : await BeginAsync();
        result = result < 0 ? result : await _zeroes.ZeroAsync(offset, length, kind);
        return result < 0 || !durable ? result : await _flusher.FlushAsync();
    }

    /// <summary>Copies what is read from the backing file of a range into the image.</summary>
    /// <param name="buffer">Memory of the range's length.</param>
    /// <param name="offset">First byte on the disk.</param>
    /// <returns>0 or a negative errno.</returns>
    public async IoTask<int> PullAsync(IoBuffer buffer, long offset)
    {
        int result = IsReady ? 0 : await BeginAsync();
        return result < 0 ? result : await _puller.PullAsync(buffer, offset);
    }

    /// <summary>Whether a persistent bitmap of this name is kept true.</summary>
    public bool KeepsBitmap(string name) => Array.Exists(_tracking, bitmap => bitmap.Name == name);

    /// <summary>Takes the changes out of a persistent bitmap, which has those from now on.</summary>
    /// <remarks>On a thread without a queue, while no request is in flight.</remarks>
    /// <param name="name">The bitmap's name.</param>
    /// <returns>The changes; null where no bitmap of this name is kept true.</returns>
    /// <exception cref="UblkException">The image cannot be written.</exception>
    public DirtySet? TakeChanges(string name)
    {
        if (Array.Find(_tracking, bitmap => bitmap.Name == name) is not { } bitmap)
        {
            return null;
        }

        int result = IsReady ? 0 : ImageFile.ResultOf(BeginAsync());
        return result == 0 ? bitmap.Take() : throw UblkException.FromErrno(-result, "write", $"Cannot write {_image.File.Path}");
    }

    /// <summary>Makes all that was written durable.</summary>
    /// <returns>0 or a negative errno.</returns>
    public IoTask<int> FlushAsync() => _flusher.FlushAsync();

    /// <summary>
    /// Keeps a journal from now on, after making the changes again that it has of a former worker; before the first request.
    /// </summary>
    /// <exception cref="UblkException">The image is not the one that the worker left, or cannot be read or written.</exception>
    public void Keep(WriteJournal journal)
    {
        IReadOnlyList<JournalRecord> records = journal.Read();
        if (records.Count > 0)
        {
            int result = ImageFile.ResultOf(_replay.RunAsync(records));
            result = result < 0 ? result : ImageFile.ResultOf(BeginAsync());
            result = result < 0 ? result : ImageFile.ResultOf(_flusher.FlushAsync());
            if (result < 0)
            {
                throw UblkException.FromErrno(-result, "recover",
                    $"What the last worker had not written to {_image.File.Path} cannot be written now");
            }
        }

        journal.Clear();
        _image.Keep(journal);
    }

    /// <summary>Writes everything back and gives up what is not needed; no request is left.</summary>
    /// <returns>0 or a negative errno.</returns>
    public int Finish()
    {
        int result = _hasBegun ? ImageFile.ResultOf(FinishAsync()) : 0;
        if (result == 0)
        {
            _image.Journal?.Clear();
        }

        return result;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _bitmaps.Dispose();
        _flusher.Dispose();
    }

    private bool IsReady => Volatile.Read(ref _hasBegun) && _image.Health.Failure == 0;

    private void Mark(long offset, long length)
    {
        foreach (DirtyBitmap bitmap in _tracking)
        {
            bitmap.Mark(offset, length);
        }
    }

    private async IoTask<int> FinishAsync()
    {
        await _bitmaps.StoreAsync(_flusher.Allocator);
        int result = await _flusher.FinishAsync();
        if (result == 0)
        {
            // A bitmap that stays marked as in use is lost, which does no harm to the disk; the next opening warns of it.
            await _bitmaps.FinishAsync();
        }

        return result;
    }

    // In place, the write itself is durable unless the file is cached; what got a new place is so when its metadata is.
    private async IoTask<int> WriteSlowlyAsync(IoBuffer buffer, long offset, bool durable)
    {
        bool isDirect = _image.DataFile.IsDirect;
        int result = IsReady ? 0 : await BeginAsync();
        result = result < 0 ? result : await _writer.WriteAsync(buffer, offset, durable && isDirect);
        return result == 0 && durable && (!isDirect || _flusher.HasChanges) ? await _flusher.FlushAsync() : result;
    }

    // Before the first write: what this engine does not keep up must not be relied on.
    private async IoTask<int> BeginAsync()
    {
        if (_image.Health.Failure != 0)
        {
            return _image.Health.Failure;
        }

        await _beginning.EnterAsync();
        using AsyncMutex.Turn turn = new(_beginning);
        if (_hasBegun)
        {
            return 0;
        }

        AutoclearFeatures kept = _image.Header.Autoclear & (_bitmaps.AreLost ? AutoclearFeatures.RawExternalData : AutoclearFeatures.Known);
        int result = kept == _image.Header.Autoclear ? 0 : await _image.HeaderBlock!.SetAutoclearAsync(kept);
        result = result < 0 ? result : await _bitmaps.BeginAsync();
        Volatile.Write(ref _hasBegun, result == 0);
        return result;
    }
}

using System.Diagnostics;
using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text;
using Ublk.Files;
using Ublk.Interop;
using Ublk.Io;
using Ublk.Targets;

namespace Ublk.Filters;

/// <summary>Counts what passes it, and keeps the counts in a file for people and programs to read.</summary>
internal sealed class StatisticsFilter : FilterTarget
{
    // Everybody may read it; only its owner may write it.
    private const int Permissions = 0b110_100_100;

    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    // By the number of the operation (IoOperation), which has gaps.
    private readonly Count[] _counts = new Count[(int)Enum.GetValues<IoOperation>().Max() + 1];
    private readonly string _path;
    private readonly Timer _timer;
    private string? _written;

    private StatisticsFilter(BlockTarget inner, string path)
        : base(inner)
    {
        _path = path;
        if (Libc.Statx(path, out Libc.StatxBuffer state) == 0 && !state.IsRegular)
        {
            throw new UblkException(UblkError.InvalidArgument,
                $"The statistics cannot be written to {path}: it is no regular file. Name a new file.", operation: "open");
        }

        try
        {
            Write();
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new UblkException(UblkError.InvalidArgument, $"The statistics cannot be written to {path}: {exception.Message}", operation: "open");
        }

        _timer = new Timer(_ => TryWrite(), null, Interval, Interval);
    }

    /// <summary>The catalogue's entry.</summary>
    public static FilterDefinition Definition { get; } = new(
        "Statistics",
        "Counts what passes, in a file.",
        [new TargetOption("Statistics", TargetOptionKind.Path, "The file, as CSV, written once a second while there is news.", IsMandatory: true)],
        (inner, options) => new StatisticsFilter(inner, options.GetText("Statistics")!));

    /// <inheritdoc/>
    [AsyncMethodBuilder(typeof(IoTaskMethodBuilder<>))]
    public override async ValueTask<int> HandleAsync(IoRequest request)
    {
        long start = Stopwatch.GetTimestamp();
        IoOperation operation = request.Operation;
        long length = request.Length;
        int result = -Libc.EIO;
        try
        {
            return result = await Inner.HandleAsync(request);
        }
        finally
        {
            _counts[(int)operation].Add(result < 0, length, Stopwatch.GetTimestamp() - start);
        }
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _timer.Dispose();
            TryWrite();
        }

        base.Dispose(disposing);
    }

    // The disk does not suffer where its statistics cannot be written.
    private void TryWrite()
    {
        try
        {
            Write();
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
        }
    }

    private void Write()
    {
        lock (_counts)
        {
            StringBuilder text = new("Operation,Requests,Errors,Bytes,MeanMicroseconds,MaxMicroseconds\n");
            foreach (IoOperation operation in Enum.GetValues<IoOperation>())
            {
                text.Append(CultureInfo.InvariantCulture, $"{operation},{_counts[(int)operation].Describe()}\n");
            }

            string news = text.ToString();
            if (news != _written)
            {
                using NewFile file = new(_path, Permissions);
                RandomAccess.Write(file.Handle, Encoding.UTF8.GetBytes(news), 0);
                file.Name(replace: true);
                _written = news;
            }
        }
    }

    /// <summary>What is known of the requests of one operation. Each field is right by itself.</summary>
    private struct Count
    {
        private long _requests;
        private long _errors;
        private long _bytes;
        private long _ticks;
        private long _maxTicks;

        public void Add(bool isError, long length, long ticks)
        {
            Interlocked.Increment(ref _requests);
            Interlocked.Add(ref _ticks, ticks);
            if (isError)
            {
                Interlocked.Increment(ref _errors);
            }
            else
            {
                Interlocked.Add(ref _bytes, length);
            }

            long max;
            while (ticks > (max = Volatile.Read(ref _maxTicks)) && Interlocked.CompareExchange(ref _maxTicks, ticks, max) != max)
            {
            }
        }

        public readonly string Describe() => string.Create(CultureInfo.InvariantCulture,
            $"{_requests},{_errors},{_bytes},{Microseconds(_requests == 0 ? 0 : _ticks / _requests):F1},{Microseconds(_maxTicks):F1}");

        private static double Microseconds(long ticks) => (double)ticks / Stopwatch.Frequency * 1e6;
    }
}

using Microsoft.Win32.SafeHandles;
using Ublk.Control;
using Ublk.Interop;
using Ublk.Io;
using Ublk.Rings;
using Ublk.Tests.Serving;

namespace Ublk.Client;

/// <summary>
/// A queue's ring that keeps every tag busy with random requests: each command to the driver completes at once with the next request.
/// </summary>
internal sealed unsafe class BusyRing : DriverlessRing
{
    /// <summary>Bytes of each request.</summary>
    public const int RequestSize = 4096;

    private readonly UblkIoDescriptor* _descriptors;
    private readonly IoOperation _operation;
    private readonly long _blocks;
    private readonly Random _random = new(1);
    private readonly bool[] _isFilled;
    private long _answered;
    private volatile bool _isEnding;

    /// <summary>Takes a ring.</summary>
    /// <param name="setup">The ring.</param>
    /// <param name="node">The file of the requests' descriptors.</param>
    /// <param name="operation">What every request does.</param>
    /// <param name="size">The disk's size in bytes.</param>
    /// <param name="depth">The queue's tags.</param>
    public BusyRing(RingSetup setup, SafeFileHandle node, IoOperation operation, long size, int depth)
        : base(setup)
    {
        _descriptors = (UblkIoDescriptor*)Libc.MMap(
            (nuint)Environment.SystemPageSize, Libc.PROT_READ | Libc.PROT_WRITE, Libc.MAP_SHARED, node, 0);
        _operation = operation;
        _blocks = size / RequestSize;
        _isFilled = new bool[depth];
    }

    /// <summary>Requests that were answered so far. Readable from any thread.</summary>
    public long Answered => Volatile.Read(ref _answered);

    /// <summary>The first result other than that of a whole request, or 0.</summary>
    public int Failure { get; private set; }

    /// <summary>Sends no more requests.</summary>
    public void End() => _isEnding = true;

    /// <inheritdoc/>
    protected override bool Handle(UblkIoCommand command, bool isCommit)
    {
        if (isCommit)
        {
            Volatile.Write(ref _answered, _answered + 1);
            Failure = command.Result != RequestSize && Failure == 0 ? command.Result : Failure;
        }

        if (!_isFilled[command.Tag])
        {
            _isFilled[command.Tag] = true;
            _random.NextBytes(new Span<byte>((void*)command.Address, RequestSize));
        }

        _descriptors[command.Tag] = new UblkIoDescriptor
        {
            OpFlags = (uint)_operation,
            StartSector = (ulong)(_random.NextInt64(_blocks) * (RequestSize / 512)),
            SectorCount = RequestSize / 512,
        };
        return !_isEnding;
    }
}

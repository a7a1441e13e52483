using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Ublk.Io;

namespace Ublk.Targets.Nbd;

/// <summary>A connection to an export, of which one queue's thread makes use: many requests at once, answered in any order.</summary>
/// <remarks>
/// A connection that is lost stays lost. A request that was in flight then may have been done or not, and may even be done later; to send
/// it again by a new connection could put it after a newer one.
/// </remarks>
internal sealed class NbdConnection : IDisposable
{
    private readonly NbdSocket _socket;
    private readonly Action<string> _warn;
    private readonly NbdCommandPool _commands = new();
    private IoQueue? _queue;
    private NbdSender? _sender;
    private NbdReceiver? _receiver;
    private int _due;

    /// <summary>Takes over a socket after its handshake.</summary>
    /// <param name="socket">The socket; goes with this.</param>
    /// <param name="export">What the handshake brought.</param>
    /// <param name="file">The socket's index in <see cref="BlockTarget.Files"/>.</param>
    /// <param name="warn">Takes a sentence for the log, when the connection is lost.</param>
    public NbdConnection(NbdSocket socket, NbdExport export, int file, Action<string> warn)
    {
        _socket = socket;
        _warn = warn;
        Export = export;
        File = file;
    }

    /// <summary>The export, as this connection has it.</summary>
    public NbdExport Export { get; }

    /// <summary>The socket.</summary>
    public SafeFileHandle Handle => _socket.Handle;

    /// <summary>The socket's index in <see cref="BlockTarget.Files"/>.</summary>
    public int File { get; }

    /// <summary>Whether the connection is lost.</summary>
    public bool IsLost { get; private set; }

    /// <summary>Whether a request waits for its reply.</summary>
    public bool IsReplyDue => _due > 0;

    /// <summary>Whether it serves a queue.</summary>
    public bool Serves(IoQueue queue) => _queue == queue;

    /// <summary>Makes the connection a queue's own, unless another one has it. Callable from any thread.</summary>
    public bool TryBind(IoQueue queue)
    {
        IoQueue? former = _queue;
        if (former is { IsDisposed: false } || Interlocked.CompareExchange(ref _queue, queue, former) != former)
        {
            return false;
        }

        // A queue that ended before its requests leaves half a message.
        if (_commands.Active > 0)
        {
            IsLost = true;
        }

        _receiver?.Dispose();
        _sender = new NbdSender(this, queue);
        _receiver = new NbdReceiver(this, queue, new NbdReplies(_commands, OnReplied, Export.HasStructuredReplies));
        return true;
    }

    /// <summary>Sends a request; on the queue's thread.</summary>
    /// <param name="type">What it is for.</param>
    /// <param name="flags">How it is to be done.</param>
    /// <param name="offset">The first byte in the export.</param>
    /// <param name="length">Bytes in the range.</param>
    /// <param name="buffer">The data of a read or a write, in memory.</param>
    /// <returns>The length of the data, 0 where there is none, or a negative errno.</returns>
    public ValueTask<int> SubmitAsync(NbdCommandType type, NbdCommandFlags flags, long offset, uint length, IoBuffer buffer = default)
    {
        if (IsLost)
        {
            return new ValueTask<int>(-NbdError.LostConnection);
        }

        NbdCommand command = _commands.Rent();
        command.Load(type, flags, offset, length, buffer);
        _due++;
        ValueTask<int> answer = command.Task;
        _sender!.Add(command);
        _receiver!.Start();
        return answer;
    }

    /// <summary>Answers a request whose reply has come and whose data is not in use any more.</summary>
    public void Answer(NbdCommand command) =>
        _commands.Complete(command, command.Errno != 0 ? -command.Errno : command.Buffer.Length);

    /// <summary>Gives the connection up: what is in flight fails, and whatever comes.</summary>
    public void Fail(string reason)
    {
        if (!IsLost)
        {
            IsLost = true;
            _warn($"The connection to the NBD server is lost, and all requests fail: {reason}.");
            _socket.Shutdown();
        }

        FinishFailure();
    }

    /// <summary>Fails what is in flight, once the kernel has let go of all data.</summary>
    public void FinishFailure()
    {
        if (!_sender!.IsSending && !_receiver!.IsReceiving)
        {
            _commands.CompleteAll(-NbdError.LostConnection);
        }
    }

    /// <inheritdoc/>
    public unsafe void Dispose()
    {
        if (!IsLost && _commands.Active == 0)
        {
            Span<byte> farewell = stackalloc byte[sizeof(NbdRequestHeader)];
            MemoryMarshal.Write(farewell, new NbdRequestHeader(NbdCommandFlags.None, NbdCommandType.Disconnect, 0, 0, 0));
            _socket.TrySend(farewell);
        }

        // The ring may keep the socket open for a moment.
        _socket.Shutdown();
        _socket.Dispose();
        _receiver?.Dispose();
    }

    private void OnReplied(NbdCommand command)
    {
        _due--;
        command.IsReplied = true;

        // The completion of its message may be seen only after its reply; until then the kernel may read its data.
        if (command.Unsent == 0)
        {
            Answer(command);
        }
    }
}

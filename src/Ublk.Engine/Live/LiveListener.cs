using System.Net.Sockets;
using System.Text.Json;
using Ublk.Processes;
using Ublk.Workers;

namespace Ublk.Live;

/// <summary>Takes commands for the disk of a worker, one at a time, on a thread of its own. Without a command the thread sleeps.</summary>
internal sealed class LiveListener : IDisposable
{
    private const int StackSize = 256 << 10;

    // A command that lives sends the next order within seconds. The disk's users wait no longer for one that is stopped.
    private static readonly TimeSpan OrderTimeout = TimeSpan.FromMinutes(2);

    private readonly Socket _listener;
    private readonly LiveDisk _disk;
    private readonly Action<string> _log;
    private readonly Thread _thread;
    private readonly Lock _lock = new();
    private LineChannel? _channel;
    private bool _isEnding;

    /// <summary>Begins to listen.</summary>
    /// <param name="listener">The socket; goes with this.</param>
    /// <param name="disk">The disk.</param>
    /// <param name="log">Takes a sentence about each command.</param>
    public LiveListener(Socket listener, LiveDisk disk, Action<string> log)
    {
        _listener = listener;
        _disk = disk;
        _log = log;
        _thread = new Thread(Listen, StackSize) { Name = "commands", IsBackground = true };
        _thread.Start();
    }

    /// <summary>Ends the command that is under way, and takes no other.</summary>
    public void Dispose()
    {
        lock (_lock)
        {
            _isEnding = true;
            _channel?.Shutdown();
        }

        _listener.Dispose();
        _thread.Join();
    }

    private void Listen()
    {
        while (true)
        {
            try
            {
                using LineChannel channel = new(_listener.Accept());
                if (channel.IsPeerTrusted && TryBegin(channel))
                {
                    Converse(channel);
                }
            }
            catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
            {
                lock (_lock)
                {
                    if (_isEnding)
                    {
                        return;
                    }
                }
            }
        }
    }

    private bool TryBegin(LineChannel channel)
    {
        lock (_lock)
        {
            _channel = channel;
            return !_isEnding;
        }
    }

    private void Converse(LineChannel channel)
    {
        try
        {
            while (channel.TryReceive(OrderTimeout, out string? line) && line is not null)
            {
                Send(channel, Run(channel, line));
            }
        }
        finally
        {
            lock (_lock)
            {
                _channel = null;
            }

            _disk.End();
        }
    }

    private LiveReport Run(LineChannel channel, string line)
    {
        try
        {
            LiveOrder order = Read(line);
            _log($"command: {order.Action}");
            _disk.Run(order, step => Send(channel, new LiveReport { Step = step }), () => RequireOpen(channel));
            return new LiveReport
            {
                IsFinished = true,
                Warnings = order.Action == LiveAction.Open ? [.. _disk.Disk.Options.Warnings] : [],
            };
        }
        catch (Exception exception)
        {
            _log($"command failed: {exception.Message}");
            return new LiveReport { IsFinished = true, Failure = WorkerFailure.From(exception) };
        }
    }

    private static LiveOrder Read(string line)
    {
        LiveOrder? order;
        try
        {
            order = JsonSerializer.Deserialize(line, LiveJson.Default.LiveOrder);
        }
        catch (JsonException)
        {
            order = null;
        }

        return order?.Version == LiveOrder.CurrentVersion
            ? order
            : throw new UblkException(UblkError.NotSupported,
                "The worker of the device is of another version. Replace it: Update-UblkDevice", operation: "receive");
    }

    private static void RequireOpen(LineChannel channel)
    {
        if (channel.IsClosed)
        {
            throw new OperationCanceledException();
        }
    }

    // A command that is gone is noticed when it is to send its next order.
    private static void Send(LineChannel channel, LiveReport report)
    {
        try
        {
            channel.Send(JsonSerializer.Serialize(report, LiveJson.Default.LiveReport));
        }
        catch (SocketException)
        {
        }
    }
}

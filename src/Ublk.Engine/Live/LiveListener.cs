using System.Net.Sockets;
using System.Text.Json;
using Ublk.Processes;
using Ublk.Workers;

namespace Ublk.Live;

/// <summary>Takes commands for the disk of a worker, one at a time, on a thread of its own. Without a command the thread sleeps.</summary>
internal sealed class LiveListener : IDisposable
{
    private const int StackSize = 256 << 10;

    // How long requests are held for a command that sends nothing. While the disk is closed there is no limit: a job of the command may
    // be rewriting the image, and the end of the channel shows that the command has ended.
    private static readonly TimeSpan OrderTimeout = TimeSpan.FromMinutes(2);

    // A lack of files or memory lasts for a while.
    private static readonly TimeSpan AcceptInterval = TimeSpan.FromMilliseconds(100);

    private readonly Socket _listener;
    private readonly LiveDisk _disk;
    private readonly Action<string> _log;
    private readonly Thread _thread;
    private readonly Lock _lock = new();
    private LineChannel? _channel;
    private bool _isEnding;

    /// <summary>Begins to listen.</summary>
    /// <param name="listener">The socket; owned by this object.</param>
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

    /// <summary>Aborts the current command and accepts no others.</summary>
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

                Thread.Sleep(AcceptInterval);
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
            while (channel.TryReceive(_disk.IsPatient ? Timeout.InfiniteTimeSpan : OrderTimeout, out string? line) && line is not null)
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
            _disk.Run(order, report => Send(channel, report), () => RequireOpen(channel));
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

    private LiveOrder Read(string line)
    {
        int id = _disk.Disk.Specification.Id!.Value;
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
                $"The worker of device {id} has a different version. Replace it: Update-UblkDevice {id}",
                operation: "receive", deviceId: id);
    }

    private static void RequireOpen(LineChannel channel)
    {
        if (channel.IsClosed)
        {
            throw new OperationCanceledException();
        }
    }

    // The next receive reports the closed connection.
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

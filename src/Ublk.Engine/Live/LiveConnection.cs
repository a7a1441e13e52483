using System.Net.Sockets;
using System.Text.Json;
using Ublk.Devices;
using Ublk.Interop;
using Ublk.Processes;
using Ublk.Specification;

namespace Ublk.Live;

/// <summary>A command's connection to the worker of a device. When it closes, held requests go on.</summary>
internal sealed class LiveConnection : IDisposable
{
    // Short enough that Ctrl+C is noticed at once.
    private static readonly TimeSpan PollInterval = TimeSpan.FromMilliseconds(50);

    private readonly int _id;
    private readonly LineChannel _channel;
    private readonly Action<string> _step;
    private readonly Action<int> _percent;

    /// <summary>Takes ownership of a channel.</summary>
    internal LiveConnection(int id, LineChannel channel, Action<string> step, Action<int>? percent = null) =>
        (_id, _channel, _step, _percent) = (id, channel, step, percent ?? (_ => { }));

    /// <summary>Connects to the worker of a live device of the caller.</summary>
    /// <param name="id">The device.</param>
    /// <param name="step">Called with a sentence for each step, on the calling thread.</param>
    /// <param name="percent">Called with the percentage of the step that is done.</param>
    /// <exception cref="UblkException">Its worker takes no commands.</exception>
    public static LiveConnection Open(int id, Action<string> step, Action<int>? percent = null)
    {
        StateDirectory state = StateDirectory.Own;
        LineChannel? connected = state.TryRead(id) is { } record ? state.TryConnect(id, record.Specification.Cookie) : null;
        LineChannel channel = connected ?? throw new UblkException(UblkError.NotSupported,
            $"The worker of device {id} does not accept commands: it has an older version, or is part of another program. Replace "
                + $"the worker: Update-UblkDevice {id}",
            operation: "connect", deviceId: id);
        if (channel.IsPeerTrusted)
        {
            return new LiveConnection(id, channel, step, percent);
        }

        channel.Dispose();
        throw new UblkException(UblkError.PermissionDenied, $"Another user's process listens at the socket of device {id}.",
            Libc.EPERM, "connect", id);
    }

    /// <summary>Sends a command, and waits for its end.</summary>
    /// <param name="action">What to do.</param>
    /// <param name="specification">The device as it is to be, for actions that change it.</param>
    /// <param name="cancellation">Gives up: the connection must then be closed.</param>
    /// <returns>Warnings for the user.</returns>
    /// <exception cref="UblkException">The command failed, or the worker died.</exception>
    public IReadOnlyList<string> Run(LiveAction action, DeviceSpecification? specification, CancellationToken cancellation) =>
        Run(new LiveOrder(action, specification), cancellation);

    /// <inheritdoc cref="Run(LiveAction, DeviceSpecification?, CancellationToken)"/>
    public IReadOnlyList<string> Run(LiveOrder order, CancellationToken cancellation)
    {
        Begin(order);
        return Wait(cancellation);
    }

    /// <summary>Sends a command.</summary>
    /// <exception cref="UblkException">The worker died.</exception>
    public void Begin(LiveOrder order)
    {
        try
        {
            _channel.Send(JsonSerializer.Serialize(order, LiveJson.Default.LiveOrder));
        }
        catch (SocketException)
        {
            throw Died();
        }
    }

    /// <summary>Waits for the end of the command.</summary>
    /// <param name="cancellation">Gives up: the connection must then be closed.</param>
    /// <returns>Warnings for the user.</returns>
    /// <exception cref="UblkException">The command failed, or the worker died.</exception>
    public IReadOnlyList<string> Wait(CancellationToken cancellation)
    {
        while (true)
        {
            cancellation.ThrowIfCancellationRequested();
            if (TryEnd() is { } warnings)
            {
                return warnings;
            }
        }
    }

    /// <summary>Waits a moment for the end of the command.</summary>
    /// <returns>Warnings for the user; null if it has not ended.</returns>
    /// <exception cref="UblkException">The command failed, or the worker died.</exception>
    public IReadOnlyList<string>? TryEnd()
    {
        if (!_channel.TryReceive(PollInterval, out string? line))
        {
            return null;
        }

        LiveReport report = Read(line ?? throw Died());
        if (report.Step is { } step)
        {
            _step(step);
        }

        if (report.Percent is { } percent)
        {
            _percent(percent);
        }

        return report.Failure is { } failure ? throw failure.ToException() : report.IsFinished ? report.Warnings : null;
    }

    /// <inheritdoc/>
    public void Dispose() => _channel.Dispose();

    private LiveReport Read(string line)
    {
        LiveReport? report;
        try
        {
            report = JsonSerializer.Deserialize(line, LiveJson.Default.LiveReport);
        }
        catch (JsonException)
        {
            report = null;
        }

        return report ?? throw new UblkException(UblkError.NotSupported,
            $"The worker of device {_id} has a different version. Replace it: Update-UblkDevice {_id}", operation: "receive",
            deviceId: _id);
    }

    private UblkException Died() => new(UblkError.WorkerDied,
        $"The worker of device {_id} ended during the command. Its log may show the cause: Get-UblkLog {_id}", operation: "receive",
        deviceId: _id);
}

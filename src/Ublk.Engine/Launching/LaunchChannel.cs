using System.Net.Sockets;
using System.Text.Json;
using System.Text.Json.Serialization;
using Ublk.Interop;
using Ublk.Processes;
using Ublk.Specification;

namespace Ublk.Launching;

/// <summary>
/// The conversation of a launcher and its worker: the specification one way, reports the other, and the launcher's
/// approval at last. Each side notices at once when the other dies.
/// </summary>
/// <remarks>
/// A socket rather than the worker's standard streams, since a worker that the service manager starts has none of its
/// launcher's. Its name is abstract, so nothing is left in a file system; but anybody can see it and bind it, so each end asks the kernel
/// who the other is.
/// </remarks>
internal sealed class LaunchChannel : IDisposable
{
    private const string Approval = "approved";

    // Short enough that Ctrl+C and the death of a worker are noticed at once.
    internal static readonly TimeSpan PollInterval = TimeSpan.FromMilliseconds(50);

    private readonly LineChannel _lines;

    private LaunchChannel(Socket socket) => _lines = new LineChannel(socket);

    /// <summary>The worker's process, as the kernel vouches for it.</summary>
    public int PeerProcessId => _lines.PeerProcessId;

    /// <summary>Listens for one worker.</summary>
    /// <param name="name">The name, for the worker.</param>
    public static Socket Listen(out string name)
    {
        name = $"ublk-launch-{Environment.ProcessId}-{Guid.NewGuid():N}";
        Socket listener = LineChannel.CreateSocket();
        listener.Bind(new UnixDomainSocketEndPoint($"\0{name}"));
        listener.Listen(1);
        return listener;
    }

    /// <summary>Takes the worker's call, if it is there within a time.</summary>
    /// <returns>The channel; null when the time is up, or another user's process called.</returns>
    /// <exception cref="UblkException">The worker has no process id here.</exception>
    public static LaunchChannel? TryAccept(Socket listener, TimeSpan timeout)
    {
        if (!listener.Poll(timeout, SelectMode.SelectRead))
        {
            return null;
        }

        LaunchChannel channel = new(listener.Accept());
        if (!channel._lines.IsPeerTrusted)
        {
            channel.Dispose();
            return null;
        }

        // START_DEV takes the worker's process id, and a worker that hangs is killed by it.
        if (channel.PeerProcessId <= 0)
        {
            channel.Dispose();
            throw new UblkException(UblkError.NotSupported,
                "The worker runs in a different PID namespace, so its process id cannot be passed to the driver. Run the command "
                    + "outside the container, or where the container has a service manager of its own.", operation: "start");
        }

        return channel;
    }

    /// <summary>Calls the launcher.</summary>
    /// <exception cref="UblkException">
    /// Another user has taken the name of a launcher that is gone, and would say what this process opens.
    /// </exception>
    public static LaunchChannel Connect(string name)
    {
        Socket socket = LineChannel.CreateSocket();
        socket.Connect(new UnixDomainSocketEndPoint($"\0{name}"));
        LaunchChannel channel = new(socket);
        if (channel._lines.IsPeerTrusted)
        {
            return channel;
        }

        channel.Dispose();
        throw new UblkException(UblkError.PermissionDenied,
            "The launcher has ended; another user's process uses its socket name.", Libc.EPERM,
            "connect");
    }

    /// <summary>Launcher: what is wanted.</summary>
    public void SendOrder(LaunchOrder order) => _lines.Send(JsonSerializer.Serialize(order, LaunchJson.Default.LaunchOrder));

    /// <summary>Worker: what is wanted; null when the launcher is gone.</summary>
    public LaunchOrder? ReceiveOrder() => _lines.TryReceive(Timeout.InfiniteTimeSpan, out string? line) && line is not null
        ? JsonSerializer.Deserialize(line, LaunchJson.Default.LaunchOrder)
        : null;

    /// <summary>Worker: how far it is. A launcher that is gone is noticed by <see cref="ReceiveApproval"/>.</summary>
    public void SendReport(WorkerReport report)
    {
        try
        {
            _lines.Send(JsonSerializer.Serialize(report, LaunchJson.Default.WorkerReport));
        }
        catch (SocketException)
        {
        }
    }

    /// <summary>
    /// Launcher: waits for the worker's next report. It restarts the deadline: a worker that makes progress may take its time.
    /// </summary>
    /// <param name="deadline">The deadline of the opening.</param>
    /// <param name="check">Called every 50 ms; throws when the wait is to end.</param>
    /// <returns>The report; null when the worker is gone.</returns>
    public WorkerReport? ReceiveReport(Deadline deadline, Action check)
    {
        string? line;
        while (!_lines.TryReceive(PollInterval, out line))
        {
            check();
        }

        deadline.Restart();
        return line is null ? null : JsonSerializer.Deserialize(line, LaunchJson.Default.WorkerReport);
    }

    /// <summary>Launcher: the device is live and handed to the user; from now on the worker stands alone.</summary>
    public void SendApproval() => _lines.Send(Approval);

    /// <summary>Worker: waits for the approval.</summary>
    /// <returns>False when the launcher went without giving it.</returns>
    public bool ReceiveApproval() => _lines.TryReceive(Timeout.InfiniteTimeSpan, out string? line) && line == Approval;

    /// <inheritdoc/>
    public void Dispose() => _lines.Dispose();
}

/// <summary>The order of a launcher to its worker.</summary>
internal sealed record LaunchOrder(LaunchKind Kind, DeviceSpecification Specification);

/// <summary>How orders and reports are written: compiled in, since the worker has no reflection.</summary>
[JsonSourceGenerationOptions(DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull, RespectNullableAnnotations = true)]
[JsonSerializable(typeof(LaunchOrder))]
[JsonSerializable(typeof(WorkerReport))]
internal sealed partial class LaunchJson : JsonSerializerContext;

using System.Net.Sockets;
using System.Text;
using Ublk.Logging;

namespace Ublk.Worker;

/// <summary>Writes to the journal with the device as a field, else to syslog, else to a file. It is never used for each request.</summary>
/// <param name="deviceId">The device; null for other messages.</param>
internal sealed class Log(int? deviceId)
{
    private const string SyslogSocket = "/dev/log";

    // The facility of daemons, in the bits above the level (syslog(3): LOG_DAEMON).
    private const int DaemonFacility = 3 << 3;

    /// <summary>Writes a line. A log that cannot be written must not harm the disk.</summary>
    public void Write(LogLevel level, string message)
    {
        string line = message.ReplaceLineEndings(" ");
        string text = LogLine.Format(Environment.ProcessId, deviceId, level, line);
        if (TrySend(DeviceLog.JournalSocket,
            $"MESSAGE={line}\nPRIORITY={(int)level}\nSYSLOG_IDENTIFIER={LogLine.Identifier}\n"
                + (deviceId is null ? "" : $"UBLK_DEVICE={deviceId}\n"))
            || TrySend(SyslogSocket, $"<{DaemonFacility | (int)level}>{text}"))
        {
            return;
        }

        DeviceLog.TryAppend(DeviceLog.OwnFile, $"{DateTime.UtcNow:O} {text}\n");
    }

    private static bool TrySend(string path, string datagram)
    {
        try
        {
            // A daemon that does not read must not hold up the worker.
            using Socket socket = new(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified) { Blocking = false };
            socket.SendTo(Encoding.UTF8.GetBytes(datagram), new UnixDomainSocketEndPoint(path));
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }
}

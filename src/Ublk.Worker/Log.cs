using System.Net.Sockets;
using System.Text;
using Ublk.Devices;

namespace Ublk.Worker;

/// <summary>How grave a message is (syslog(3)).</summary>
internal enum LogLevel
{
    /// <summary>The device ends.</summary>
    Critical = 2,

    /// <summary>Something was asked for and failed.</summary>
    Error = 3,

    /// <summary>Something unexpected that was dealt with.</summary>
    Warning = 4,

    /// <summary>The normal course of things.</summary>
    Information = 6,
}

/// <summary>Writes to the journal with the device as a field, else to syslog, else to a file. It is never used for each request.</summary>
internal sealed class Log(int deviceId)
{
    private const string Identifier = "ublk";
    private const string JournalSocket = "/run/systemd/journal/socket";
    private const string SyslogSocket = "/dev/log";

    private static readonly string FilePath = Interop.Libc.GetEffectiveUserId() == 0 ? "/var/log/ublk.log" : $"{StateDirectory.Own.Path}/ublk.log";

    // The facility of daemons, in the bits above the level (syslog(3): LOG_DAEMON).
    private const int DaemonFacility = 3 << 3;

    /// <summary>Writes a line. A log that cannot be written must not harm the disk.</summary>
    public void Write(LogLevel level, string message)
    {
        string line = message.ReplaceLineEndings(" ");
        if (TrySend(JournalSocket, $"MESSAGE={line}\nPRIORITY={(int)level}\nSYSLOG_IDENTIFIER={Identifier}\nUBLK_DEVICE={deviceId}\n")
            || TrySend(SyslogSocket, $"<{DaemonFacility | (int)level}>{Identifier}[{Environment.ProcessId}]: {line}"))
        {
            return;
        }

        try
        {
            File.AppendAllText(FilePath, $"{DateTime.UtcNow:O} {Identifier}[{Environment.ProcessId}] {level}: {line}\n");
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
        }
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

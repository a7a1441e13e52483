using System.Net.Sockets;
using System.Text;

namespace Ublk.Worker;

/// <summary>Notifications of a service to its manager (sd_notify(3)).</summary>
internal static class ServiceNotification
{
    /// <summary>The service is ready. Does nothing without a manager that waits for it.</summary>
    /// <param name="status">What systemctl status shows.</param>
    public static void Ready(string status)
    {
        if (Environment.GetEnvironmentVariable("NOTIFY_SOCKET") is not { Length: > 0 } address)
        {
            return;
        }

        // An abstract name is written with an @ in place of the zero byte.
        using Socket socket = new(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
        socket.SendTo(
            Encoding.UTF8.GetBytes($"READY=1\nSTATUS={status}\n"),
            new UnixDomainSocketEndPoint(address[0] == '@' ? $"\0{address[1..]}" : address));
    }
}

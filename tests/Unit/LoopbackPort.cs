using System.Net;
using System.Net.Sockets;

namespace Ublk.Tests;

/// <summary>A TCP port for a server that a test starts.</summary>
internal static class LoopbackPort
{
    /// <summary>Finds a port that is free now; another process may take it before the server does.</summary>
    public static int Find()
    {
        using TcpListener listener = new(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}

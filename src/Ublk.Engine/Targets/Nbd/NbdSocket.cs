using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using Microsoft.Win32.SafeHandles;
using Ublk.Interop;

namespace Ublk.Targets.Nbd;

/// <summary>
/// A connection to a server: during the handshake with blocking calls and a deadline, afterwards the file that a ring works on.
/// </summary>
internal sealed unsafe class NbdSocket : IDisposable
{
    /// <summary>Less than a launcher waits for a sign of its worker.</summary>
    public static readonly TimeSpan HandshakeTimeout = TimeSpan.FromSeconds(20);

    private const int UnixAddressLength = sizeof(ushort) + Libc.UnixPathMax;

    // As many as a kernel of any age takes.
    private const int Backlog = 128;

    private readonly string _otherEnd;
    private readonly Deadline _deadline;

    private NbdSocket(string otherEnd, SafeFileHandle handle, Deadline deadline)
    {
        _otherEnd = otherEnd;
        _deadline = deadline;
        Handle = handle;
        if (Handle.IsInvalid)
        {
            throw Failed("socket", Libc.LastErrno);
        }
    }

    /// <summary>The socket.</summary>
    public SafeFileHandle Handle { get; }

    /// <summary>Connects to a server.</summary>
    /// <param name="uri">Where it is.</param>
    /// <param name="timeout">How long connecting and the handshake may take together.</param>
    /// <exception cref="UblkException">It cannot be reached.</exception>
    public static NbdSocket Connect(NbdUri uri, TimeSpan timeout)
    {
        Deadline deadline = new(timeout);
        return uri.SocketPath is { } path ? ConnectUnix(uri.Server, path, deadline) : ConnectTcp(uri, deadline);
    }

    /// <summary>The server's end of a connection.</summary>
    /// <param name="handle">The connection; owned by this object.</param>
    /// <param name="timeout">How long the handshake may take.</param>
    public static NbdSocket OfClient(SafeFileHandle handle, TimeSpan timeout) => new("The client", handle, new Deadline(timeout));

    /// <summary>A socket that listens at a path.</summary>
    /// <exception cref="UblkException">It cannot be made.</exception>
    public static SafeFileHandle Listen(string path) => Listen(Libc.AF_UNIX, UnixAddress(path), path, static _ => { });

    /// <summary>A socket that listens at a path, to which the owner of the calling process alone can connect.</summary>
    /// <exception cref="UblkException">It cannot be made.</exception>
    public static SafeFileHandle ListenForOwner(string path) => Listen(Libc.AF_UNIX, UnixAddress(path), path,
        path => File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite));

    /// <summary>A socket that listens at an address.</summary>
    /// <exception cref="UblkException">It cannot be made.</exception>
    public static SafeFileHandle Listen(IPAddress address, int port) =>
        Listen(FamilyOf(address), TcpAddress(address, port), new IPEndPoint(address, port).ToString(), static _ => { });

    private static SafeFileHandle Listen(int family, byte[] bytes, string place, Action<string> protect)
    {
        SafeFileHandle socket = Libc.Socket(family);
        int reuse = 1;
        fixed (byte* address = bytes)
        {
            if (!socket.IsInvalid)
            {
                _ = Libc.SetSocketOption(socket, Libc.SOL_SOCKET, Libc.SO_REUSEADDR, &reuse, sizeof(int));
            }

            if (socket.IsInvalid || Libc.Bind(socket, address, (uint)bytes.Length) != 0)
            {
                throw CannotListen(socket, place);
            }

            // Nobody can connect before it listens.
            protect(place);
            return Libc.Listen(socket, Backlog) == 0 ? socket : throw CannotListen(socket, place);
        }
    }

    private static UblkException CannotListen(SafeFileHandle socket, string place)
    {
        int errno = Libc.LastErrno;
        socket.Dispose();
        return UblkException.FromErrno(errno, "bind", $"Cannot listen at {place}");
    }

    /// <summary>The encryption; null where there is none.</summary>
    public NbdTls? Tls { get; private set; }

    /// <summary>Encrypts all that follows.</summary>
    /// <exception cref="UblkException">The ends do not agree, the other one is not who it should be, or the time is up.</exception>
    public void StartTls(NbdTls tls)
    {
        Tls = tls;
        while (!TryHandshake())
        {
            ReceiveInput();
        }
    }

    /// <summary>Sends all of the bytes.</summary>
    /// <exception cref="UblkException">The connection is lost, or the time is up.</exception>
    public void Send(ReadOnlySpan<byte> bytes)
    {
        if (Tls is null)
        {
            SendPlain(bytes);
            return;
        }

        fixed (byte* data = bytes)
        {
            if (!Tls.Encrypt((nint)data, bytes.Length))
            {
                throw Closed();
            }
        }

        SendOutput();
    }

    /// <summary>Receives as many bytes as there is room for.</summary>
    /// <exception cref="UblkException">The connection is lost, or the time is up.</exception>
    public void Receive(Span<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            fixed (byte* data = bytes)
            {
                int received = Tls is null ? ReceiveSome(data, bytes.Length) : Tls.Decrypt((nint)data, bytes.Length);
                if (received < 0)
                {
                    throw Closed();
                }

                if (received == 0)
                {
                    ReceiveInput();
                }

                bytes = bytes[received..];
            }
        }
    }

    /// <summary>Sends the last bytes without waiting, and without caring whether they arrive.</summary>
    public void TrySendLast(ReadOnlySpan<byte> bytes)
    {
        SetTimeout(Libc.SO_SNDTIMEO, TimeSpan.FromMilliseconds(1));
        byte* encrypted = stackalloc byte[1024];
        fixed (byte* data = bytes)
        {
            byte* last = data;
            int length = bytes.Length;
            if (Tls is not null)
            {
                Tls.Encrypt((nint)data, length);
                Tls.Shutdown();
                last = encrypted;
                length = Tls.TakeOutput((nint)encrypted, 1024);
            }

            _ = Libc.Send(Handle, last, (nuint)length, Libc.MSG_NOSIGNAL);
        }
    }

    /// <summary>Prepares a TCP connection for requests and replies.</summary>
    public void SetTcpOptions()
    {
        // Each turn's messages leave at once.
        SetOption(Libc.IPPROTO_TCP, Libc.TCP_NODELAY, 1);

        // A machine that is gone is noticed after three minutes. One that is slow answers the probes.
        SetOption(Libc.SOL_SOCKET, Libc.SO_KEEPALIVE, 1);
        SetOption(Libc.IPPROTO_TCP, Libc.TCP_KEEPIDLE, 60);
        SetOption(Libc.IPPROTO_TCP, Libc.TCP_KEEPINTVL, 15);
        SetOption(Libc.IPPROTO_TCP, Libc.TCP_KEEPCNT, 8);
    }

    /// <summary>Ends the connection, so that operations in flight return.</summary>
    public void Shutdown() => _ = Libc.Shutdown(Handle, Libc.SHUT_RDWR);

    /// <summary>Takes over another connection, with the same file descriptor as before.</summary>
    /// <param name="next">The other one; what it leaves is to be disposed.</param>
    /// <exception cref="UblkException">The kernel refuses it.</exception>
    public void Become(NbdSocket next)
    {
        if (Libc.Dup3(next.Handle, Handle, Libc.O_CLOEXEC) < 0)
        {
            throw Failed("dup3", Libc.LastErrno);
        }

        (Tls, next.Tls) = (next.Tls, Tls);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Handle.Dispose();
        Tls?.Dispose();
        Tls = null;
    }

    private bool TryHandshake()
    {
        try
        {
            return Tls!.Handshake();
        }
        finally
        {
            // The reason of a failure is for the server, too.
            SendOutput();
        }
    }

    private void SendPlain(ReadOnlySpan<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            SetTimeout(Libc.SO_SNDTIMEO, Remaining());
            fixed (byte* data = bytes)
            {
                nint sent = Libc.Send(Handle, data, (nuint)bytes.Length, Libc.MSG_NOSIGNAL);
                bytes = bytes[(int)(sent >= 0 ? sent : Continue("send"))..];
            }
        }
    }

    private void SendOutput()
    {
        Span<byte> bytes = stackalloc byte[4096];
        while (Tls!.HasOutput)
        {
            fixed (byte* room = bytes)
            {
                SendPlain(bytes[..Tls.TakeOutput((nint)room, bytes.Length)]);
            }
        }
    }

    private void ReceiveInput()
    {
        byte* bytes = stackalloc byte[4096];
        Tls?.AddInput((nint)bytes, ReceiveSome(bytes, 4096));
    }

    // At least one byte.
    private int ReceiveSome(byte* data, int length)
    {
        while (true)
        {
            SetTimeout(Libc.SO_RCVTIMEO, Remaining());
            nint received = Libc.Receive(Handle, data, (nuint)length, 0);
            if (received == 0)
            {
                throw Closed();
            }

            if (received > 0 || Continue("recv") != 0)
            {
                return (int)received;
            }
        }
    }

    private UblkException Closed() => new(UblkError.ConnectionFailed,
        $"{_otherEnd} closed the connection during the handshake.", Libc.ENOLINK, "recv");

    private static NbdSocket ConnectUnix(string server, string path, Deadline deadline) =>
        Connect(server, Libc.AF_UNIX, UnixAddress(path), deadline);

    private static byte[] UnixAddress(string path)
    {
        byte[] address = new byte[UnixAddressLength];
        address[0] = Libc.AF_UNIX;
        RawText.ToBytes(path).CopyTo(address, sizeof(ushort));
        return address;
    }

    private static NbdSocket ConnectTcp(NbdUri uri, Deadline deadline)
    {
        UblkException? failure = null;
        foreach (IPAddress address in Resolve(uri.Host!))
        {
            try
            {
                NbdSocket socket = Connect(uri.Server, FamilyOf(address), TcpAddress(address, uri.Port), deadline);

                socket.SetTcpOptions();
                return socket;
            }
            catch (UblkException exception)
            {
                failure ??= exception;
            }
        }

        throw failure ?? NotFound(uri.Host!, "it has no address");
    }

    // The kernel's own layout: sockaddr_in and sockaddr_in6 (netinet/in.h).
    private static byte[] TcpAddress(IPAddress host, int port)
    {
        bool isOld = FamilyOf(host) == Libc.AF_INET;
        byte[] address = new byte[isOld ? 16 : 28];
        address[0] = (byte)FamilyOf(host);
        BinaryPrimitives.WriteUInt16BigEndian(address.AsSpan(2), (ushort)port);
        host.TryWriteBytes(address.AsSpan(isOld ? 4 : 8), out _);
        if (!isOld)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(address.AsSpan(24), (uint)host.ScopeId);
        }

        return address;
    }

    private static int FamilyOf(IPAddress host) => host.AddressFamily == AddressFamily.InterNetwork ? Libc.AF_INET : Libc.AF_INET6;

    private static NbdSocket Connect(string server, int family, ReadOnlySpan<byte> address, Deadline deadline)
    {
        NbdSocket socket = new($"The NBD server at {server}", Libc.Socket(family), deadline);
        try
        {
            // A host may have another address that answers.
            socket.SetTimeout(Libc.SO_SNDTIMEO, socket.Remaining() / 2);
            fixed (byte* bytes = address)
            {
                if (Libc.Connect(socket.Handle, bytes, (uint)address.Length) != 0)
                {
                    throw socket.Failed("connect", Libc.LastErrno);
                }
            }

            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private static IPAddress[] Resolve(string host)
    {
        try
        {
            return IPAddress.TryParse(host, out IPAddress? address) ? [address] : Dns.GetHostAddresses(host);
        }
        catch (SocketException exception)
        {
            throw NotFound(host, exception.Message);
        }
    }

    private static UblkException NotFound(string host, string reason) => new(UblkError.ConnectionFailed,
        $"The host {host} cannot be found: {reason}.", Libc.ENOENT, "resolve");

    // Never 0, which to the kernel is no timeout: a millisecond at least.
    private TimeSpan Remaining() => _deadline.Left is var left && left >= TimeSpan.FromMilliseconds(1)
        ? left
        : throw Failed("handshake", Libc.ETIMEDOUT);

    private int Continue(string operation) => Libc.LastErrno is Libc.EINTR or Libc.EAGAIN ? 0 : throw Failed(operation, Libc.LastErrno);

    private void SetTimeout(int option, TimeSpan time)
    {
        Libc.TimeValue value =
            new() { Seconds = (long)time.TotalSeconds, Microseconds = (time.Ticks / TimeSpan.TicksPerMicrosecond) % 1_000_000 };
        _ = Libc.SetSocketOption(Handle, Libc.SOL_SOCKET, option, &value, (uint)sizeof(Libc.TimeValue));
    }

    private void SetOption(int level, int name, int value) => _ = Libc.SetSocketOption(Handle, level, name, &value, sizeof(int));

    private UblkException Failed(string operation, int errno) => new(UblkError.ConnectionFailed,
        $"{_otherEnd} cannot be reached: {Libc.Describe(errno == Libc.EINPROGRESS ? Libc.ETIMEDOUT : errno)}.", errno,
            operation);
}

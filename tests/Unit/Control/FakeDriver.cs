using System.Runtime.InteropServices;
using Ublk.Control;
using Ublk.Interop;

namespace Ublk.Tests.Control;

/// <summary>A driver that answers commands as a test tells it to, and remembers them.</summary>
/// <remarks>Untold, it knows every feature and every command succeeds.</remarks>
internal sealed unsafe class FakeDriver
{
    private readonly Dictionary<uint, Func<Request, int>> _answers = [];
    private int _lastAnswer;

    /// <summary>The features it has; null for a driver too old to say.</summary>
    public UblkFeatures? Features { get; init; } = (UblkFeatures)0x1FFFFF;

    /// <summary>What it answers to encoded commands where it knows bare numbers alone.</summary>
    public int? EncodedError { get; init; }

    /// <summary>Whether its devices are an ordinary user's, so that it takes no command without the path of their node.</summary>
    public bool IsUnprivileged { get; init; }

    /// <summary>The paths that came with commands, one for each that was taken.</summary>
    public List<string> Paths { get; } = [];

    /// <summary>The commands it got, by their numbers, without questions for its features and for what EINVAL meant.</summary>
    public List<uint> Sent { get; } = [];

    /// <summary>The commands it got as they were sent.</summary>
    public List<Request> Requests { get; } = [];

    /// <summary>Channels that are open.</summary>
    public int OpenChannels { get; private set; }

    /// <summary>The number of a command, as <see cref="Sent"/> has it.</summary>
    public static uint NumberOf(uint command) => command & UblkAbi.CommandNumberMask;

    /// <summary>Opens a control device that talks to this driver.</summary>
    public ControlDevice Open() => new(new Channel(this));

    /// <summary>Tells what a command is answered with.</summary>
    public FakeDriver Answer(uint command, int result) => Answer(command, _ => result);

    /// <summary>Tells how a command is answered.</summary>
    public FakeDriver Answer(uint command, Func<Request, int> answer)
    {
        _answers[NumberOf(command)] = answer;
        return this;
    }

    /// <summary>Tells what GET_DEV_INFO says of every device.</summary>
    public FakeDriver AnswerInfo(Func<UblkDeviceInfo> info) => Answer(UblkAbi.CmdGetDevInfo, request =>
    {
        *(UblkDeviceInfo*)request.Payload.Address = info();
        return 0;
    });

    private int Handle(Request request)
    {
        uint number = NumberOf(request.Command);
        if (number == NumberOf(UblkAbi.CmdGetFeatures))
        {
            *(ulong*)request.Payload.Address = (ulong)(Features ?? 0);
            return Features is null ? -Libc.EOPNOTSUPP : 0;
        }

        Requests.Add(request);
        if (EncodedError is { } errno && request.Command != number)
        {
            return -errno;
        }

        if (IsUnprivileged && number != NumberOf(UblkAbi.CmdAddDev))
        {
            if (request.Payload.DevicePathLength == 0)
            {
                return -Libc.EINVAL;
            }

            Paths.Add(Marshal.PtrToStringUTF8((nint)request.Payload.Address)!);
            request = request with { Payload = WithoutPath(request.Payload) };
        }

        bool isAskedWhy = _lastAnswer == -Libc.EINVAL && number == NumberOf(UblkAbi.CmdGetDevInfo);
        if (!isAskedWhy)
        {
            Sent.Add(number);
        }

        return _lastAnswer = _answers.TryGetValue(number, out Func<Request, int>? answer) ? answer(request) : 0;
    }

    // As the driver does before it looks at the rest (ublk_drv.c).
    private static UblkControlCommand WithoutPath(UblkControlCommand command)
    {
        Assert.Equal(0, *(byte*)(command.Address + command.DevicePathLength - 1));
        command.Address += command.DevicePathLength;
        command.Length -= command.DevicePathLength;
        return command;
    }

    /// <summary>A command as it came.</summary>
    internal sealed record Request(uint Command, UblkControlCommand Payload, TimeSpan Timeout);

    private sealed class Channel : IControlChannel
    {
        private readonly FakeDriver _driver;

        public Channel(FakeDriver driver)
        {
            _driver = driver;
            _driver.OpenChannels++;
        }

        public byte* Buffer { get; } = (byte*)NativeMemory.AllocZeroed(IControlChannel.BufferSize);

        public int Send(uint command, in UblkControlCommand payload, TimeSpan timeout) =>
            _driver.Handle(new Request(command, payload, timeout));

        public void Dispose()
        {
            _driver.OpenChannels--;
            NativeMemory.Free(Buffer);
        }
    }
}

using System.Net.Sockets;
using Microsoft.Win32.SafeHandles;
using Ublk.Interop;
using Ublk.Io;
using Ublk.Targets;
using Ublk.Tests.Serving;

namespace Ublk.Tests.Io;

/// <summary>Sockets on a queue's ring.</summary>
public class SocketTests
{
    private const int Length = 1 << 20;
    private const int BrokenPipe = 32;

    [Theory]
    [InlineData(int.MaxValue)]
    [InlineData(512)]
    public void All_of_a_buffer_is_sent_and_received_in_whatever_pieces(int slotsFrom)
    {
        byte[] data = new byte[Length];
        new Random(1).NextBytes(data);
        using Pair pair = new();
        using MirrorTarget target = new(pair.Client);
        Thread server = new(() =>
        {
            byte[] received = pair.Receive(Length);
            Array.Reverse(received);
            foreach (byte[] part in received.Chunk(70_001))
            {
                pair.Server.Send(part);
            }
        });
        server.Start();
        QueueHarness.Run(target, harness =>
        {
            Assert.Equal(Length, harness.Answer(QueueHarness.Describe(IoOperation.Write, 0, Length), data));
            byte[] mirrored = new byte[Length];
            Assert.Equal(Length, harness.Answer(QueueHarness.Describe(IoOperation.Read, 0, Length), mirrored));
            Array.Reverse(mirrored);
            Assert.Equal(data, mirrored);
        }, depth: 1, bufferSize: Length, slotsFrom: slotsFrom);
        server.Join();
    }

    [Theory]
    [InlineData(int.MaxValue)]
    [InlineData(512)]
    public void The_end_of_a_connection_cuts_what_is_received_and_fails_what_is_sent(int slotsFrom)
    {
        using Pair pair = new();
        using MirrorTarget target = new(pair.Client);
        pair.Server.Send(new byte[1000]);
        pair.Server.Dispose();
        QueueHarness.Run(target, harness =>
        {
            IoRequest read = harness.Request(QueueHarness.Describe(IoOperation.Read, 0, 4096));
            Assert.Equal(1000, harness.AnswerOf(target.HandleAsync(read)));
            Assert.Equal(-BrokenPipe, harness.Answer(QueueHarness.Describe(IoOperation.Write, 0, 4096), new byte[4096]));
        }, depth: 1, slotsFrom: slotsFrom);
    }

    [Fact]
    public async Task What_is_sent_is_no_reason_to_wake_up_before_the_reply()
    {
        const int Rounds = 50;
        int together = 0;
        using Pair pair = new();
        Thread server = new(() =>
        {
            for (int round = 0; round < Rounds; round++)
            {
                pair.Server.Send(pair.Receive(512));
            }
        });
        server.Start();

        // A thread of its own, as a queue has.
        await Task.Factory.StartNew(Ask, TestContext.Current.CancellationToken, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        server.Join();
        Assert.True(together > 0, "Each send was a turn of its own.");

        void Ask()
        {
            using SafeFileHandle socket = new(pair.Client.Handle, ownsHandle: false);
            using IoQueue queue = new(2, [], [socket]);
            using BufferMemory memory = new(2, 4096);
            for (int round = 0; round < Rounds; round++)
            {
                IoTask<int> sent = queue.SendAsync(0, new IoBuffer(memory.AddressOf(0), 512));
                IoTask<int> received = queue.ReceiveAllAsync(0, new IoBuffer(memory.AddressOf(1), 512));
                int turns = 0;
                for (; !sent.IsCompleted || !received.IsCompleted; turns++)
                {
                    Assert.Equal(0, queue.Wait());
                    while (queue.Ring.TryReap(out IoUringCqe completion))
                    {
                        queue.TryComplete(completion);
                    }
                }

                Assert.Equal((512, 512), (sent.GetAwaiter().GetResult(), received.GetAwaiter().GetResult()));
                together += turns == 1 ? 1 : 0;
            }
        }
    }

    /// <summary>Two connected sockets.</summary>
    private sealed class Pair : IDisposable
    {
        private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("ublk-socket-");

        public Pair()
        {
            UnixDomainSocketEndPoint place = new($"{_folder.FullName}/socket");
            using Socket listener = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            listener.Bind(place);
            listener.Listen();
            Client.Connect(place);
            Server = listener.Accept();
        }

        public Socket Client { get; } = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);

        public Socket Server { get; }

        public byte[] Receive(int count)
        {
            byte[] bytes = new byte[count];
            for (int received = 0; received < count;)
            {
                received += Server.Receive(bytes.AsSpan(received));
            }

            return bytes;
        }

        public void Dispose()
        {
            Client.Dispose();
            Server.Dispose();
            _folder.Delete(recursive: true);
        }
    }

    /// <summary>Sends what is written and receives what is read.</summary>
    private sealed class MirrorTarget(Socket socket) : BlockTarget
    {
        public override TargetGeometry Geometry { get; } = new() { Size = Length };

        public override IReadOnlyList<SafeFileHandle> Files { get; } = [new SafeFileHandle(socket.Handle, ownsHandle: false)];

        public override async IoTask<int> HandleAsync(IoRequest request) => request.Operation == IoOperation.Write
            ? await request.Queue.SendAllAsync(0, request.Buffer)
            : await request.Queue.ReceiveAllAsync(0, request.Buffer);
    }
}

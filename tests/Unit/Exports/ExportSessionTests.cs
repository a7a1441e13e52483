using Ublk.Exports.Server;
using Ublk.Interop;
using Ublk.Io;
using Ublk.Targets;
using Ublk.Targets.Nbd;
using Ublk.Tests.Serving;
using Ublk.Tests.Targets;
using Ublk.Tests.Targets.Nbd;

namespace Ublk.Tests.Exports;

/// <summary>Clients of an export get the disk's data and errors, and one that does not keep to the protocol only harms itself.</summary>
public sealed class ExportSessionTests(NbdCertificates files) : IClassFixture<NbdCertificates>
{
    private const int Size = 8 << 20;
    private const int Block = 4096;

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void The_own_client_reads_what_it_wrote(bool usesTls)
    {
        using TemporaryFile file = new(Size);
        byte[] model = new byte[Size];
        using (TestExport export = new(file.Path, writable: true, certificates: usesTls ? files.Folder : null))
        {
            using NbdTarget disk = export.Open();
            QueueHarness.Run(disk, harness =>
            {
                Random chance = new(1);
                for (int step = 0; step < 500; step++)
                {
                    int length = chance.Next(1, 65) * 512;
                    int offset = chance.Next((Size - length) / 512) * 512;
                    byte[] data = new byte[length];
                    switch (chance.Next(4))
                    {
                        case 0:
                            model.AsSpan(offset, length).Clear();
                            Assert.Equal(0, harness.Answer(QueueHarness.Describe(IoOperation.WriteZeroes, offset, length)));
                            break;
                        case 1:
                            Assert.Equal(length, harness.Answer(QueueHarness.Describe(IoOperation.Read, offset, length), data));
                            Assert.Equal(model[offset..(offset + length)], data);
                            break;
                        default:
                            chance.NextBytes(data);
                            data.CopyTo(model.AsSpan(offset));
                            Assert.Equal(length, harness.Answer(QueueHarness.Describe(IoOperation.Write, offset, length), data));
                            break;
                    }
                }

                Assert.Equal(0, harness.Answer(QueueHarness.Describe(IoOperation.Flush)));
            });
            Assert.Empty(export.Log);
        }

        Assert.Equal(model, file.Content);
    }

    [Fact]
    public void Many_requests_of_many_clients_are_under_way_at_once()
    {
        using MemoryTarget memory = new(Size);
        new Random(1).NextBytes(memory.Data);
        using TestExport export = new(new ExportedDisk("disk", new LockedTarget(memory), []));
        Parallel.For(0, 4, _ =>
        {
            using NbdTarget disk = export.Open();
            QueueHarness.Run(disk, harness => harness.Saturate(2000, number =>
                QueueHarness.Describe(IoOperation.Read, number % (Size / Block) * (long)Block, Block)));
        });
        Assert.Empty(export.Log);
    }

    [Fact]
    public void A_read_may_begin_and_end_anywhere()
    {
        using MemoryTarget memory = new(Size);
        new Random(1).NextBytes(memory.Data);
        using TestExport export = new(new ExportedDisk("disk", memory, []));
        using ScriptedClient client = new ScriptedClient(export.SocketPath).Open();
        client.SendRequest(NbdCommandType.Read, offset: 1001, length: 3);
        Assert.Equal(0u, client.ReceiveError());
        Assert.Equal(memory.Data[1001..1004], client.Receive(3));
    }

    [Theory]
    [InlineData(0, 0, 0, 22)]
    [InlineData(0, Size, 1, 22)]
    [InlineData(0, -1, 1, 22)]
    [InlineData(0, Size - 512, 1024, 22)]
    [InlineData(1, 0, 512, 1)]
    [InlineData(4, 0, 512, 1)]
    [InlineData(6, 0, 512, 1)]
    [InlineData(7, 0, 512, 22)]
    [InlineData(99, 0, 512, 22)]
    public void What_a_read_only_export_cannot_do_is_an_error(int number, long offset, int length, uint error)
    {
        NbdCommandType type = (NbdCommandType)number;
        using TemporaryFile file = new(Size);
        using TestExport export = new(file.Path);
        using ScriptedClient client = new ScriptedClient(export.SocketPath).Open();
        client.SendRequest(type, offset, (uint)length, data: type == NbdCommandType.Write ? new byte[length] : []);
        Assert.Equal(error, client.ReceiveError());

        // The connection is still of use.
        client.SendRequest(NbdCommandType.Read, 0, 512);
        Assert.Equal(0u, client.ReceiveError());
        Assert.Equal(new byte[512], client.Receive(512));
    }

    [Theory]
    [InlineData(1, 512, 22)]
    [InlineData(0, 511, 22)]
    [InlineData(Size, 512, 28)]
    public void A_write_covers_whole_blocks_of_the_disk(long offset, int length, uint error)
    {
        using TemporaryFile file = new(Size);
        using TestExport export = new(file.Path, writable: true);
        using ScriptedClient client = new ScriptedClient(export.SocketPath).Open();
        client.SendRequest(NbdCommandType.Write, offset, (uint)length, data: new byte[length]);
        Assert.Equal(error, client.ReceiveError());
    }

    [Theory]
    [InlineData(nameof(NbdCommandType.Write))]
    [InlineData(nameof(NbdCommandType.Trim))]
    [InlineData(nameof(NbdCommandType.WriteZeroes))]
    public void A_change_with_FUA_is_durable_when_it_is_answered(string name)
    {
        NbdCommandType type = Enum.Parse<NbdCommandType>(name);
        foreach (bool forcesUnitAccess in (bool[])[true, false])
        {
            VolatileTarget target = new(forcesUnitAccess);
            using TestExport export = new(new ExportedDisk("disk", target, []));
            using ScriptedClient client = new ScriptedClient(export.SocketPath).Open();
            byte[] data = type == NbdCommandType.Write ? new byte[512] : [];
            client.SendRequest(type, 0, 512, data: data);
            Assert.Equal(0u, client.ReceiveError());
            Assert.Equal(1, target.Volatile);
            client.SendRequest(type, 0, 512, NbdCommandFlags.ForceUnitAccess, data: data);
            Assert.Equal(0u, client.ReceiveError());
            Assert.Equal(forcesUnitAccess && type == NbdCommandType.Write ? 1 : 0, target.Volatile);
        }
    }

    [Fact]
    public void An_error_of_the_storage_reaches_the_client()
    {
        using TestExport export = new(new ExportedDisk("disk", new FailingTarget(-Libc.ENOSPC), []));
        using ScriptedClient client = new ScriptedClient(export.SocketPath).Open();
        client.SendRequest(NbdCommandType.Write, 0, 512, data: new byte[512]);
        Assert.Equal(28u, client.ReceiveError());
    }

    [Fact]
    public void A_client_that_asks_for_too_much_or_for_nonsense_is_dropped()
    {
        using TemporaryFile file = new(Size);
        using TestExport export = new(file.Path, writable: true);
        Drop(client => client.Open().Send(new byte[28]), "wrong magic number");
        Drop(client => client.Open().SendRequest(NbdCommandType.Write, 0, (64 << 20) + 512), "bytes of data");
        Drop(client => client.Greet().Send(new byte[16]), "an option begins with");
        Drop(client => client.Greet().SendOption(NbdOption.ExportName, [.. "other"u8]), "asks for an export 'other'");
        Drop(client => client.Send([0xFF, 0xFF, 0xFF, 0xFF]), "its flags");

        // Others are served.
        using NbdTarget disk = export.Open();
        Assert.Equal(new byte[512], new TargetClient(disk).Read(0, 512));

        void Drop(Action<ScriptedClient> misbehave, string words)
        {
            int before = export.Log.Count;
            using ScriptedClient client = new(export.SocketPath);
            misbehave(client);
            Assert.True(client.IsClosed());
            Assert.True(SpinWait.SpinUntil(() => export.Log.Count > before, TimeSpan.FromSeconds(20)));
            Assert.Contains(words, export.Log[^1], StringComparison.Ordinal);
        }
    }

    [Fact]
    public void A_client_that_leaves_is_no_fault_and_one_that_leaves_within_a_request_is()
    {
        using TemporaryFile file = new(Size);
        using TestExport export = new(file.Path, writable: true);
        using (ScriptedClient client = new ScriptedClient(export.SocketPath).Open())
        {
            client.SendRequest(NbdCommandType.Disconnect);
            Assert.True(client.IsClosed());
        }

        new ScriptedClient(export.SocketPath).Open().Dispose();
        AwaitClients(export, 0);
        Assert.Empty(export.Log);
        using (ScriptedClient client = new ScriptedClient(export.SocketPath).Open())
        {
            client.SendRequest(NbdCommandType.Write, 0, 512, data: new byte[100]);
        }

        AwaitClients(export, 0);
        Assert.Single(export.Log);
    }

    [Fact]
    public void A_client_that_is_stuck_is_dropped_and_one_that_is_idle_is_not()
    {
        using TemporaryFile file = new(Size);
        using TestExport export = new(file.Path, writable: true, silenceTimeout: TimeSpan.FromSeconds(2));
        using ScriptedClient idle = new ScriptedClient(export.SocketPath).Open();
        using ScriptedClient silent = new(export.SocketPath);
        using ScriptedClient stuck = new ScriptedClient(export.SocketPath).Open();
        stuck.SendRequest(NbdCommandType.Write, 0, 512, data: new byte[100]);
        Assert.True(silent.IsClosed());
        Assert.True(stuck.IsClosed());
        AwaitClients(export, 1);
        Assert.Equal(2, export.Log.Count);
        Assert.Contains(export.Log, line => line.Contains("stopped", StringComparison.Ordinal));
        idle.SendRequest(NbdCommandType.Read, 0, 512);
        Assert.Equal(0u, idle.ReceiveError());
    }

    [Fact]
    public void There_are_no_more_clients_than_have_memory()
    {
        using TemporaryFile file = new(Size);
        using TestExport export = new(file.Path);
        List<ScriptedClient> clients = [];
        try
        {
            for (int number = 0; number < ExportServer.MaxClients; number++)
            {
                clients.Add(new ScriptedClient(export.SocketPath).Open());
            }

            Assert.Equal(ExportServer.MaxClients, export.Clients);
            using ScriptedClient refused = new(export.SocketPath);
            Assert.True(refused.IsClosed());
            clients[0].Dispose();
            AwaitClients(export, ExportServer.MaxClients - 1);
            clients.Add(new ScriptedClient(export.SocketPath).Open());
        }
        finally
        {
            clients.ForEach(client => client.Dispose());
        }
    }

    [Fact]
    public void Options_are_answered_as_the_protocol_has_it()
    {
        using TemporaryFile file = new(Size);
        using TestExport export = new(file.Path);
        using ScriptedClient client = new ScriptedClient(export.SocketPath).Greet();
        Ask(NbdOption.List, [], NbdOptionReplyType.Server, NbdOptionReplyType.Ack);
        Ask(NbdOption.List, [1], NbdOptionReplyType.Invalid);
        Ask(NbdOption.StartTls, [], NbdOptionReplyType.Unsupported);
        Ask((NbdOption)77, [1, 2, 3], NbdOptionReplyType.Unsupported);
        Ask(NbdOption.Info, [0, 0, 0, 9, 1], NbdOptionReplyType.Invalid);
        Ask(NbdOption.Info, [.. ScriptedClient.Text("other"), 0, 0], NbdOptionReplyType.Unknown);
        Ask(NbdOption.SetMetaContext, [.. ScriptedClient.Text("disk"), 0, 0, 0, 0], NbdOptionReplyType.Invalid);
        Ask(NbdOption.StructuredReply, [], NbdOptionReplyType.Ack);
        byte[] allocation = [.. ScriptedClient.Text("disk"), 0, 0, 0, 1, .. ScriptedClient.Text("base:allocation")];
        Ask(NbdOption.SetMetaContext, allocation, NbdOptionReplyType.MetaContext, NbdOptionReplyType.Ack);
        Ask(NbdOption.SetMetaContext, [.. allocation, 1], NbdOptionReplyType.Invalid);
        Ask(NbdOption.ListMetaContext, [.. ScriptedClient.Text("disk"), 0, 0, 0, 1, .. ScriptedClient.Text("base:")],
            NbdOptionReplyType.MetaContext, NbdOptionReplyType.Ack);
        Ask(NbdOption.Go, [.. ScriptedClient.Text(""), 0, 0], NbdOptionReplyType.Info, NbdOptionReplyType.Info, NbdOptionReplyType.Ack);

        void Ask(NbdOption option, byte[] data, params NbdOptionReplyType[] expected)
        {
            client.SendOption(option, data);
            Assert.All(expected, type => Assert.Equal(type, client.ReceiveOptionReply().Type));
        }
    }

    [Fact]
    public void A_choice_of_contexts_that_fails_leaves_none()
    {
        using TemporaryFile file = new(Size);
        using TestExport export = new(file.Path);
        using ScriptedClient client = new ScriptedClient(export.SocketPath).Greet();
        byte[] allocation = [.. ScriptedClient.Text("disk"), 0, 0, 0, 1, .. ScriptedClient.Text("base:allocation")];
        Ask(NbdOption.StructuredReply, [], NbdOptionReplyType.Ack);
        Ask(NbdOption.SetMetaContext, allocation, NbdOptionReplyType.MetaContext, NbdOptionReplyType.Ack);
        Ask(NbdOption.SetMetaContext, [.. allocation, 1], NbdOptionReplyType.Invalid);
        Ask(NbdOption.Go, [.. ScriptedClient.Text(""), 0, 0], NbdOptionReplyType.Info, NbdOptionReplyType.Info, NbdOptionReplyType.Ack);
        client.SendRequest(NbdCommandType.BlockStatus, 0, 512);
        NbdChunk reply = NbdHeaders.ReadChunk(client.Receive(NbdHeaders.ChunkLength(NbdHeaderForm.Structured)), NbdHeaderForm.Structured);
        Assert.Equal(NbdChunkType.Error, reply.Type);

        void Ask(NbdOption option, byte[] data, params NbdOptionReplyType[] expected)
        {
            client.SendOption(option, data);
            Assert.All(expected, type => Assert.Equal(type, client.ReceiveOptionReply().Type));
        }
    }

    [Fact]
    public void Only_a_write_has_data_with_extended_headers()
    {
        using TemporaryFile file = new(Size);
        using TestExport export = new(file.Path, writable: true);
        using ScriptedClient client = new ScriptedClient(export.SocketPath).Greet();
        client.SendOption(NbdOption.ExtendedHeaders);
        Assert.Equal(NbdOptionReplyType.Ack, client.ReceiveOptionReply().Type);
        client.SendOption(NbdOption.ExportName);
        client.Receive(10);
        foreach ((NbdCommandType type, NbdChunkType expected) in
            ((NbdCommandType, NbdChunkType)[])[(NbdCommandType.Trim, NbdChunkType.Error), (NbdCommandType.Write, NbdChunkType.None)])
        {
            byte[] head = new byte[NbdHeaders.RequestLength(NbdHeaderForm.Extended)];
            NbdHeaders.Write(head, NbdHeaderForm.Extended, NbdCommandFlags.PayloadLength, type, 7, 0, 512);
            client.Send([.. head, .. new byte[512]]);
            NbdChunk reply = NbdHeaders.ReadChunk(client.Receive(NbdHeaders.ChunkLength(NbdHeaderForm.Extended)), NbdHeaderForm.Extended);
            Assert.Equal(expected, reply.Type);
            client.Receive((int)reply.Length);
        }
    }

    [Fact]
    public void A_request_allocates_nothing()
    {
        CountingTarget target = new();
        using TestExport export = new(new ExportedDisk("disk", target, []));
        using ScriptedClient client = new ScriptedClient(export.SocketPath).Open();
        for (int number = 0; number < 3000; number++)
        {
            bool isWrite = number % 3 == 0;
            client.SendRequest(isWrite ? NbdCommandType.Write : NbdCommandType.Read, 0, Block, data: isWrite ? new byte[Block] : []);
            Assert.Equal(0u, client.ReceiveError());
            client.Receive(isWrite ? 0 : Block);
        }

        Assert.Equal(0, target.Allocated);
    }

    [Fact]
    public void Whatever_clients_send_others_are_served()
    {
        using TemporaryFile file = new(Size);
        using TestExport export = new(file.Path, writable: true);
        for (int seed = 0; seed < 300; seed++)
        {
            Random chance = new(seed);
            Assert.True(SpinWait.SpinUntil(() => export.Clients < ExportServer.MaxClients, TimeSpan.FromSeconds(60)));
            using ScriptedClient client = new(export.SocketPath);
            try
            {
                Misbehave(client, chance);
            }
            catch (System.Net.Sockets.SocketException)
            {
                // Dropped already.
            }
        }

        AwaitClients(export, 0);
        using NbdTarget disk = export.Open();
        new TargetClient(disk).Write(0, new byte[512]);
    }

    // Messages that are right for a part, and then are not.
    private static void Misbehave(ScriptedClient client, Random chance)
    {
        byte[] garbage = new byte[chance.Next(1, 200)];
        chance.NextBytes(garbage);
        if (chance.Next(2) == 0)
        {
            client.Greet();
            for (int count = chance.Next(4); count >= 0; count--)
            {
                byte[] data = chance.Next(2) == 0 ? garbage : [0, 0, 0, 0, 0, 0, 0, (byte)chance.Next(3)];
                client.SendOption((NbdOption)chance.Next(1, 13), data);
            }

            client.Send(garbage);
            return;
        }

        client.Open();
        for (int count = chance.Next(20); count >= 0; count--)
        {
            NbdCommandType type = (NbdCommandType)chance.Next(0, 9);
            uint length = (uint)chance.Next(0, 9000);
            client.SendRequest(type == NbdCommandType.Disconnect ? NbdCommandType.Read : type, chance.NextInt64(-Size, 2 * Size), length,
                (NbdCommandFlags)chance.Next(64), data: type == NbdCommandType.Write ? new byte[length] : []);
        }

        client.Send(garbage);
    }

    private static void AwaitClients(TestExport export, int count) =>
        Assert.True(SpinWait.SpinUntil(() => export.Clients == count, TimeSpan.FromSeconds(60)), $"There are {export.Clients} clients.");

    private sealed class LockedTarget(MemoryTarget memory) : BlockTarget
    {
        public override TargetGeometry Geometry => memory.Geometry;

        public override IoTask<int> HandleAsync(IoRequest request)
        {
            lock (memory)
            {
                return memory.HandleAsync(request);
            }
        }
    }

    /// <summary>Counts what a power cut would take.</summary>
    private sealed class VolatileTarget(bool forcesUnitAccess) : BlockTarget
    {
        public int Volatile { get; private set; }

        public override TargetGeometry Geometry { get; } = new()
        {
            Size = Size, VolatileCache = true, ForceUnitAccess = forcesUnitAccess, DiscardGranularity = 512, WriteZeroes = true,
        };

        public override IoTask<int> HandleAsync(IoRequest request)
        {
            bool isDurable = forcesUnitAccess && request.Operation == IoOperation.Write && request.IsForceUnitAccess;
            Volatile = request.Operation == IoOperation.Flush ? 0 : Volatile + (isDurable ? 0 : 1);
            return 0;
        }
    }

    private sealed class FailingTarget(int result) : BlockTarget
    {
        public override TargetGeometry Geometry { get; } = new() { Size = Size };

        public override async IoTask<int> HandleAsync(IoRequest request)
        {
            await Task.Yield();
            return result;
        }
    }

    /// <summary>Counts what its thread allocates between requests.</summary>
    private sealed class CountingTarget : BlockTarget
    {
        // Memory is also pooled on a path that is taken for the first time later, where a client is slow to receive.
        private const int Series = 100;

        private long _before;
        private long _allocated;
        private int _requests;

        /// <summary>Bytes that were allocated in the series of requests with the fewest.</summary>
        public long Allocated { get; private set; } = long.MaxValue;

        public override TargetGeometry Geometry { get; } = new() { Size = Size };

        public override IoTask<int> HandleAsync(IoRequest request)
        {
            _allocated += GC.GetAllocatedBytesForCurrentThread() - _before;
            if (++_requests % Series == 0)
            {
                Allocated = long.Min(Allocated, _allocated);
                _allocated = 0;
            }

            _before = GC.GetAllocatedBytesForCurrentThread();
            return 0;
        }
    }
}

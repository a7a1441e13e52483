using Ublk.Specification;
using Ublk.Targets;
using Ublk.Targets.Nbd;

namespace Ublk.Tests.Targets.Nbd;

/// <summary>The handshake against a server that does what it likes.</summary>
public class NbdHandshakeTests
{
    private const NbdExportFlags AllFlags = NbdExportFlags.HasFlags | NbdExportFlags.SendFlush | NbdExportFlags.SendFua
        | NbdExportFlags.Rotational | NbdExportFlags.SendTrim | NbdExportFlags.SendWriteZeroes;

    [Fact]
    public void The_disk_is_as_the_export()
    {
        TargetGeometry geometry = Open(server => server.Open(1 << 20, flags: AllFlags, blocks: (2048, 16384, 1 << 20)));
        Assert.Equal(
            new TargetGeometry
            {
                Size = 1 << 20, LogicalBlockSize = 2048, PhysicalBlockSize = 16384, MaxIoSize = 1 << 20, IsRotational =
                    true, VolatileCache = true,
                ForceUnitAccess = true, DiscardGranularity = 16384, WriteZeroes = true,
            }, geometry);
    }

    [Fact]
    public void An_export_that_can_nothing_is_a_plain_disk()
    {
        TargetGeometry geometry = Open(server => server.Open(4096, flags: NbdExportFlags.HasFlags));
        Assert.Equal(
            new TargetGeometry { Size = 4096, LogicalBlockSize = 512, PhysicalBlockSize = 4096, MaxIoSize = 32 << 20,
                ForceUnitAccess = false }, geometry);
    }

    [Fact]
    public void Without_the_first_flag_the_others_mean_nothing() =>
        Assert.False(Open(server => server.Open(4096, flags: AllFlags & ~NbdExportFlags.HasFlags)).VolatileCache);

    [Fact]
    public void A_read_only_export_is_a_read_only_disk()
    {
        TargetGeometry geometry = Open(server => server.Open(4096, flags: AllFlags | NbdExportFlags.ReadOnly), out TargetOptions options);
        Assert.True(geometry.ReadOnly);
        Assert.False(geometry.VolatileCache || geometry.WriteZeroes || geometry.DiscardGranularity > 0);
        Assert.Contains("read-only", Assert.Single(options.Warnings), StringComparison.Ordinal);
    }

    [Fact]
    public void The_end_of_an_export_that_is_no_whole_block_is_not_in_the_disk()
    {
        Assert.Equal(4096, Open(server => server.Open(4096 + 511), out TargetOptions options).Size);
        Assert.Contains("511", Assert.Single(options.Warnings), StringComparison.Ordinal);
        Assert.Equal(UblkError.InvalidBackingFile, Refused(server => server.Open(511)).Error);
        Assert.Equal(UblkError.InvalidBackingFile, Refused(server => server.Open(0)).Error);
    }

    [Theory]
    [InlineData(3u, 4096u, 1u << 20)]
    [InlineData(0u, 4096u, 1u << 20)]
    [InlineData(8192u, 8192u, 1u << 20)]
    [InlineData(uint.MaxValue, 4096u, 1u << 20)]
    [InlineData(512u, 4096u, 2048u)]
    [InlineData(512u, 4096u, 0u)]
    public void Blocks_that_no_disk_can_have_are_refused(uint min, uint preferred, uint max) =>
        Assert.Equal(UblkError.NotSupported, Refused(server => server.Open(blocks: (min, preferred, max))).Error);

    [Theory]
    [InlineData(0u, 512)]
    [InlineData(3u, 512)]
    [InlineData(uint.MaxValue, 512)]
    [InlineData(1u << 31, 1 << 20)]
    [InlineData(1u, 512)]
    public void A_preferred_block_of_any_size_is_but_a_hint(uint preferred, int physical) =>
        Assert.Equal(physical, Open(server => server.Open(blocks: (1, preferred, uint.MaxValue))).PhysicalBlockSize);

    [Fact]
    public void A_server_of_old_is_asked_by_name()
    {
        TargetGeometry geometry = Open(server =>
        {
            server.Greet();
            server.Reply(server.ReceiveOption().Option, NbdOptionReplyType.Unsupported, "what?");
            server.Reply(server.ReceiveOption().Option, NbdOptionReplyType.Unsupported);
            server.Reply(server.ReceiveOption().Option, NbdOptionReplyType.Unsupported);
            Assert.Equal((NbdOption.ExportName, "disk"), Named(server.ReceiveOption()));
            server.Send(8192ul, (ushort)AllFlags);
        });
        Assert.Equal((8192, true), (geometry.Size, geometry.VolatileCache));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(NbdProtocol.NoZeroes)]
    public void The_oldest_newstyle_server_knows_only_that(ushort flags)
    {
        TargetGeometry geometry = Open(server =>
        {
            server.Greet(flags);
            Assert.Equal((NbdOption.ExportName, "disk"), Named(server.ReceiveOption()));
            server.Send(8192ul, (ushort)NbdExportFlags.HasFlags, new byte[flags == 0 ? NbdProtocol.Padding : 0]);
        });
        Assert.Equal(8192, geometry.Size);
    }

    [Fact]
    public void Names_descriptions_and_the_unknown_may_come_unasked()
    {
        TargetGeometry geometry = Open(server =>
        {
            server.Greet();
            server.Reply(server.ReceiveOption().Option, NbdOptionReplyType.Ack);
            NbdOption go = server.ReceiveOption().Option;
            server.Reply(go, NbdOptionReplyType.Info, (ushort)1, "disk");
            server.Reply(go, NbdOptionReplyType.Info, (ushort)0x7777, new byte[100]);
            server.Reply(go, NbdOptionReplyType.Info, (ushort)NbdInfo.Export, 4096ul, (ushort)AllFlags);
            server.Reply(go, NbdOptionReplyType.Ack);
        });
        Assert.Equal(4096, geometry.Size);
    }

    public static TheoryData<NbdOptionReplyTypeName, string> Refusals() => new()
    {
        { new(NbdOptionReplyType.Unknown), "does not have it" },
        { new(NbdOptionReplyType.Policy), "policy" },
        { new(NbdOptionReplyType.TlsRequired), "TLS" },
        { new(NbdOptionReplyType.Shutdown), "shutting down" },
        { new(NbdOptionReplyType.Invalid), "invalid" },
        { new(NbdOptionReplyType.ExtendedHeadersRequired), "extended headers" },
        { new((NbdOptionReplyType)0x8000_1234), "error 4660" },
    };

    [Theory]
    [MemberData(nameof(Refusals))]
    public void A_refusal_is_told_in_the_servers_words(NbdOptionReplyTypeName type, string reason)
    {
        UblkException refused = Refused(server =>
        {
            server.Greet();
            server.Reply(server.ReceiveOption().Option, NbdOptionReplyType.Ack);
            server.Reply(server.ReceiveOption().Option, type.Value, "ask\nyour administrator");
        });
        Assert.Equal(UblkError.ServerRefused, refused.Error);
        Assert.Contains(reason, refused.Message, StringComparison.Ordinal);
        Assert.Contains("the export 'disk'", refused.Message, StringComparison.Ordinal);
        Assert.EndsWith("Its message: ask your administrator", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void TLS_that_is_asked_for_at_once_is_told()
    {
        UblkException refused = Refused(server =>
        {
            server.Greet();
            server.Reply(server.ReceiveOption().Option, NbdOptionReplyType.TlsRequired);
        });
        Assert.Equal(UblkError.ServerRefused, refused.Error);
        Assert.Contains("TLS", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_server_that_hangs_up_at_the_name_has_no_such_export()
    {
        UblkException refused = Refused(server =>
        {
            server.Greet(0);
            server.ReceiveOption();
        });
        Assert.Equal(UblkError.ServerRefused, refused.Error);
    }

    public static TheoryData<string, Script> Violations() => new()
    {
        { "closed the connection", new(_ => { }) },
        { "closed the connection", new(server => server.Send(NbdProtocol.GreetingMagic)) },
        { "greeting is 00000000deadbeef", new(server => server.Send(0xDEADBEEFul, 0ul, (ushort)0)) },
        { "greeting continues with 00000000deadbeef", new(server => server.Send(NbdProtocol.GreetingMagic, 0xDEADBEEFul, (ushort)0)) },
        { "oldstyle", new(server => server.Send(NbdProtocol.GreetingMagic, NbdProtocol.OldStyleMagic, new byte[136])) },
        { "begins with 00000000deadbeef", new(server => AfterGreeting(server, 0xDEADBEEFul, 8u, 1u, 0u)) },
        { "replied to option 7 where 11", new(server => AfterGreeting(server, NbdProtocol.OptionReplyMagic, 7u, 1u, 0u)) },
        { "has 65537 bytes", new(server => AfterGreeting(server, NbdProtocol.OptionReplyMagic, 11u, 1u, 65537u)) },
        { "has 4294967295 bytes", new(server => AfterGreeting(server, NbdProtocol.OptionReplyMagic, 11u, 0x80000001u, uint.MaxValue)) },
        { "replied 3", new(server => AfterGreeting(server, NbdProtocol.OptionReplyMagic, 11u, 3u, 0u)) },
        { "replied 1 with 1 bytes", new(server => AfterGreeting(server, NbdProtocol.OptionReplyMagic, 11u, 1u, 1u, new byte[1])) },
        { "without its size", new(server => AtGo(server, NbdOptionReplyType.Ack)) },
        { "replied 2", new(server => AtGo(server, NbdOptionReplyType.Server)) },
        { "the kind of an information", new(server => AtGo(server, NbdOptionReplyType.Info)) },
        { "has 11 bytes instead of 12", new(server => AtGo(server, NbdOptionReplyType.Info, (ushort)0, new byte[9])) },
        { "has 13 bytes instead of 12", new(server => AtGo(server, NbdOptionReplyType.Info, (ushort)0, new byte[11])) },
        { "has 2 bytes instead of 14", new(server => AtGo(server, NbdOptionReplyType.Info, (ushort)3)) },
        { "has 18446744073709551615 bytes", new(server => AtGo(server, NbdOptionReplyType.Info, (ushort)0, ulong.MaxValue, (ushort)1)) },
        {
            "without an end", new(server =>
            {
                AtGo(server, NbdOptionReplyType.Info, (ushort)1);
                for (int count = 0; count < 1000; count++)
                {
                    server.Reply(NbdOption.Go, NbdOptionReplyType.Info, (ushort)1);
                }

                server.ReceiveOption();
            })
        },
    };

    [Theory]
    [MemberData(nameof(Violations))]
    public void What_is_against_the_protocol_is_refused(string words, Script script)
    {
        UblkException refused = Refused(script.Run);
        Assert.Contains(words, refused.Message, StringComparison.Ordinal);
        Assert.Contains(refused.Error, new[] { UblkError.ConnectionFailed, UblkError.NotSupported });
    }

    [Fact]
    public void A_server_that_is_not_there_is_told()
    {
        UblkException unix = Assert.Throws<UblkException>(() => NbdServer.OpenUri("nbd+unix:///?socket=/nonexistent"));
        Assert.Equal(UblkError.ConnectionFailed, unix.Error);
        Assert.Contains("No such file", unix.Message, StringComparison.Ordinal);
        UblkException tcp = Assert.Throws<UblkException>(() => NbdServer.OpenUri("nbd://127.0.0.1:1"));
        Assert.Equal(UblkError.ConnectionFailed, tcp.Error);
        Assert.Contains("refused", tcp.Message, StringComparison.Ordinal);
        Assert.Equal(UblkError.ConnectionFailed, Assert.Throws<UblkException>(() => NbdServer.OpenUri("nbd://no-such-host.invalid")).Error);
    }

    [Fact]
    public void Several_threads_need_a_server_that_allows_several_connections()
    {
        using ScriptedServer server = new(script => script.Open());
        UblkException refused = Assert.Throws<UblkException>(() => NbdServer.OpenUri(server.Uri, threads: 2));
        Assert.Equal(UblkError.NotSupported, refused.Error);
        Assert.Contains("QueueCount", refused.Message, StringComparison.Ordinal);
        Assert.Contains("CAN_MULTI_CONN", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Connections_must_show_the_same_export()
    {
        ulong size = 4096;
        using ScriptedServer server = new(script => script.Open(size += 4096, flags: AllFlags | NbdExportFlags.CanMultiConn));
        Assert.Equal(UblkError.ServerRefused, Assert.Throws<UblkException>(() => NbdServer.OpenUri(server.Uri, threads: 2)).Error);
    }

    [Fact]
    public void A_disk_that_is_written_has_no_recovery()
    {
        using ScriptedServer server = new(script => script.Open());
        Dictionary<string, string> values = new() { ["Uri"] = server.Uri };
        UblkException refused = Assert.Throws<UblkException>(
            () => NbdTarget.Open(new TargetOptions(values) { Recovery = RecoveryMode.Reissue }));
        Assert.Contains("-Recovery Reissue", refused.Message, StringComparison.Ordinal);
        NbdTarget.Open(new TargetOptions(values) { Recovery = RecoveryMode.Reissue, ReadOnly = true }).Dispose();
    }

    /// <summary>A name that tests are listed by.</summary>
    public sealed class NbdOptionReplyTypeName
    {
        internal NbdOptionReplyTypeName(NbdOptionReplyType value) => Value = value;

        internal NbdOptionReplyType Value { get; }

        public override string ToString() => $"{Value}";
    }

    /// <summary>What a server does.</summary>
    public sealed class Script
    {
        internal Script(Action<ScriptedServer> run) => Run = run;

        internal Action<ScriptedServer> Run { get; }
    }

    private static (NbdOption Option, string Name) Named((NbdOption Option, byte[] Data) option) =>
        (option.Option, System.Text.Encoding.UTF8.GetString(option.Data));

    private static void AfterGreeting(ScriptedServer server, params object[] parts)
    {
        server.Greet();
        server.ReceiveOption();
        server.Send(parts);
        server.ReceiveOption();
    }

    private static void AtGo(ScriptedServer server, NbdOptionReplyType type, params object[] parts)
    {
        server.Greet();
        server.Reply(server.ReceiveOption().Option, NbdOptionReplyType.Ack);
        server.Reply(server.ReceiveOption().Option, type, parts);
    }

    private static TargetGeometry Open(Action<ScriptedServer> script) => Open(script, out _);

    private static TargetGeometry Open(Action<ScriptedServer> script, out TargetOptions options)
    {
        using ScriptedServer server = new(script);
        options = new TargetOptions(new Dictionary<string, string> { ["Uri"] = server.Uri });
        using NbdTarget target = NbdTarget.Open(options);
        return target.Geometry;
    }

    private static UblkException Refused(Action<ScriptedServer> script) => Assert.Throws<UblkException>(() => Open(script));
}

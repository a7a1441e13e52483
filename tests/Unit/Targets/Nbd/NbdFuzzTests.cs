using System.Globalization;
using Ublk.Io;
using Ublk.Targets.Nbd;

namespace Ublk.Tests.Targets.Nbd;

/// <summary>
/// What a server sends that is garbage in places does no harm. UBLK_FUZZ tells how many inputs to try (2000 by default), UBLK_SEED the
/// first one's seed.
/// </summary>
public sealed class NbdFuzzTests(ITestOutputHelper output) : IDisposable
{
    private const int Length = 4096;
    private const int Depth = 4;

    // Of requests' memory, and as much around each of them that must stay as it is.
    private readonly BufferMemory _memory = new(Depth, 3 * Length);

    public void Dispose() => _memory.Dispose();

    [Fact]
    public void Whatever_a_server_replies_it_is_understood_or_refused()
    {
        int count = Number("UBLK_FUZZ", 2000);
        int first = Number("UBLK_SEED", 0);
        int understood = 0;
        for (int seed = first; seed < first + count; seed++)
        {
            try
            {
                understood += Reply(new Random(seed)) ? 1 : 0;
            }
            catch (Exception exception)
            {
                throw new InvalidOperationException(
                    $"Seed {seed}: {exception.Message} Replay it with UBLK_FUZZ=1 UBLK_SEED={seed}.", exception);
            }
        }

        output.WriteLine($"{count} inputs, {understood} of them understood");
        Assert.InRange(understood, int.Min(count, 100) / 100, count);
    }

    [Fact]
    public void Whatever_a_server_says_in_the_handshake_there_is_a_disk_or_an_error()
    {
        int count = Number("UBLK_FUZZ", 2000) / 20;
        int seed = Number("UBLK_SEED", 0);
        int opened = 0;
        byte[] words = [];
        using ScriptedServer server = new(script =>
        {
            script.Send(words);
            script.End();
        });
        for (int end = seed + int.Max(count, 1); seed < end; seed++)
        {
            Random random = new(seed);
            words = Handshake(random);
            words = random.Next(5) == 0 ? words : Garble(random, words);
            try
            {
                NbdServer.OpenUri(server.Uri).Dispose();
                opened++;
            }
            catch (UblkException)
            {
            }
            catch (Exception exception)
            {
                throw new InvalidOperationException(
                    $"Seed {seed}: {exception.Message} Replay it with UBLK_FUZZ=1 UBLK_SEED={seed}.", exception);
            }
        }

        output.WriteLine($"{count} handshakes, {opened} of them led to a disk");
    }

    // Whether all was understood.
    private bool Reply(Random random)
    {
        NbdHeaderForm form = (NbdHeaderForm)random.Next(3);
        NbdCommandPool pool = new();
        NbdCommand[] commands = [.. Enumerable.Range(0, Depth).Select(place => Begin(pool, random, place, form))];
        HashSet<NbdCommand> answered = [];
        NbdReplies replies = new(pool, command =>
        {
            Assert.True(answered.Add(command), "A request was answered twice.");
            command.IsReplied = true;
        }, form);
        byte[] bytes = [.. commands.OrderBy(_ => random.Next()).SelectMany(command => Answer(random, command, form))];
        bytes = random.Next(10) == 0 ? bytes : Garble(random, bytes);
        bool isUnderstood = TryTake(random, replies, bytes);
        for (int place = 0; place < Depth; place++)
        {
            Assert.Equal(-1, new IoBuffer(_memory.AddressOf(place), Length).Span.IndexOfAnyExcept((byte)0xEE));
            Assert.Equal(-1, new IoBuffer(_memory.AddressOf(place) + (2 * Length), Length).Span.IndexOfAnyExcept((byte)0xEE));
        }

        return isUnderstood && answered.Count == Depth;
    }

    private static bool TryTake(Random random, NbdReplies replies, byte[] bytes)
    {
        try
        {
            int taken = 0;
            for (int end = 0; end < bytes.Length;)
            {
                end = int.Min(bytes.Length, end + random.Next(1, random.Next(2) == 0 ? 50 : 5000));
                taken += replies.Take(bytes.AsSpan(taken, end - taken));
            }

            return true;
        }
        catch (UblkException)
        {
            return false;
        }
    }

    private NbdCommand Begin(NbdCommandPool pool, Random random, int place, NbdHeaderForm form)
    {
        new IoBuffer(_memory.AddressOf(place), 3 * Length).Span.Fill(0xEE);
        NbdCommandType type = random.Next(3) switch { 0 => NbdCommandType.Write, 1 => NbdCommandType.Flush, _ => NbdCommandType.Read };
        IoBuffer buffer = type == NbdCommandType.Flush ? default : new IoBuffer(_memory.AddressOf(place) + Length, Length);
        NbdCommand command = pool.Rent();
        command.Load(form, type, NbdCommandFlags.None, place * 10_000L, (uint)buffer.Length, buffer);
        return command;
    }

    // As a server may answer it.
    private static byte[] Answer(Random random, NbdCommand command, NbdHeaderForm form)
    {
        if (form == NbdHeaderForm.Simple || (form == NbdHeaderForm.Structured && command.Type != NbdCommandType.Read
            && random.Next(2) == 0))
        {
            bool fails = random.Next(4) == 0;
            byte[]? data = fails || command.Type != NbdCommandType.Read ? null : new byte[Length];
            return ScriptedServer.Simple(command.Cookie, fails ? 5u : 0, data);
        }

        if (command.Type != NbdCommandType.Read || random.Next(5) == 0)
        {
            return random.Next(3) switch
            {
                0 => Chunk(command, form, 1, 0x8001, ScriptedServer.Bytes(28u, (ushort)4, "full")),
                1 => Chunk(command, form, 1, 0x8777, ScriptedServer.Bytes(28u, (ushort)0, new byte[random.Next(100)])),
                _ => Chunk(command, form, 1, 0, []),
            };
        }

        List<byte> bytes = [];
        for (int start = 0; start < Length;)
        {
            int length = int.Min(Length - start, random.Next(1, Length));
            ushort flags = (ushort)(start + length == Length ? 1 : 0);
            ulong offset = (ulong)(command.Offset + start);
            bytes.AddRange(random.Next(2) == 0
                ? Chunk(command, form, flags, 1, ScriptedServer.Bytes(offset, new byte[length]))
                : Chunk(command, form, flags, 2, ScriptedServer.Bytes(offset, (uint)length)));
            start += length;
        }

        return [.. bytes];
    }

    private static byte[] Chunk(NbdCommand command, NbdHeaderForm form, ushort flags, ushort type, byte[] payload) =>
        form == NbdHeaderForm.Extended
            ? ScriptedServer.ExtendedChunk(flags, type, command.Cookie, (ulong)command.Offset, payload)
            : ScriptedServer.Chunk(flags, type, command.Cookie, payload);

    private static byte[] Handshake(Random random) => ScriptedServer.Bytes(
        NbdProtocol.GreetingMagic, NbdProtocol.OptionMagic, (ushort)random.Next(4),
        random.Next(2) == 0
            ? ScriptedServer.Bytes(NbdProtocol.OptionReplyMagic, (uint)NbdOption.ExtendedHeaders, (uint)NbdOptionReplyType.Ack, 0u)
            : ScriptedServer.Bytes(
                NbdProtocol.OptionReplyMagic, (uint)NbdOption.ExtendedHeaders, (uint)NbdOptionReplyType.Unsupported, 0u,
                NbdProtocol.OptionReplyMagic, (uint)NbdOption.StructuredReply, (uint)NbdOptionReplyType.Ack, 0u),
        NbdProtocol.OptionReplyMagic, (uint)NbdOption.Go, (uint)NbdOptionReplyType.Info, 12u,
        (ushort)NbdInfo.Export, 1ul << random.Next(10, 40), (ushort)random.Next(1 << 12),
        NbdProtocol.OptionReplyMagic, (uint)NbdOption.Go, (uint)NbdOptionReplyType.Info, 14u,
        (ushort)NbdInfo.BlockSize, 1u << random.Next(14), 4096u, 1u << random.Next(10, 30),
        NbdProtocol.OptionReplyMagic, (uint)NbdOption.Go, (uint)NbdOptionReplyType.Ack, 0u);

    private static byte[] Garble(Random random, byte[] bytes)
    {
        List<byte> garbled = [.. bytes];
        for (int count = random.Next(1, 6); count > 0 && garbled.Count > 0; count--)
        {
            int place = random.Next(garbled.Count);
            int length = int.Min(random.Next(1, 40), garbled.Count - place);
            switch (random.Next(6))
            {
                case 0:
                    garbled[place] ^= (byte)(1 << random.Next(8));
                    break;
                case 1:
                    garbled[place] = (byte)random.Next(256);
                    break;
                case 2:
                    garbled.RemoveRange(place, length);
                    break;
                case 3:
                    garbled.InsertRange(place, garbled.GetRange(place, length));
                    break;
                case 4:
                    garbled.RemoveRange(place, garbled.Count - place);
                    break;
                default:
                    for (int number = place; number < place + length; number++)
                    {
                        garbled[number] = (byte)(random.Next(2) == 0 ? 0xFF : 0);
                    }

                    break;
            }
        }

        return [.. garbled];
    }

    private static int Number(string name, int otherwise) =>
        int.TryParse(Environment.GetEnvironmentVariable(name), CultureInfo.InvariantCulture, out int number) ? number : otherwise;
}

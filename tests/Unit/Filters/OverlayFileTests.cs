using Ublk.Catalog;
using Ublk.Interop;
using Ublk.Io;
using Ublk.Specification;
using Ublk.Targets;
using Ublk.Tests.Serving;
using Ublk.Tests.Targets;

namespace Ublk.Tests.Filters;

/// <summary>An overlay in a file is there again, with all that was flushed, and never shows what was on no disk.</summary>
public sealed class OverlayFileTests : IDisposable
{
    private const int Size = 1 << 20;
    private const int Block = 512;

    private readonly string _path = $"/var/tmp/ublk-test-{Guid.NewGuid():N}.overlay";
    private readonly byte[] _base = new byte[Size];

    public OverlayFileTests() => new Random(1).NextBytes(_base);

    public void Dispose() => File.Delete(_path);

    [Fact]
    public void What_was_flushed_is_there_again()
    {
        byte[] model = [.. _base];
        Random chance = new(2);
        for (int round = 0; round < 5; round++)
        {
            Use(_path, harness =>
            {
                Assert.Equal(model, Read(harness, 0, Size));
                for (int i = 0; i < 100; i++)
                {
                    Write(harness, chance, model);
                }

                Assert.Equal(0, harness.Answer(QueueHarness.Describe(IoOperation.Flush)));
            });
        }

        Assert.Equal(model, Use(_path, harness => Read(harness, 0, Size)));
    }

    [Fact]
    public void A_write_with_forced_unit_access_needs_no_flush()
    {
        byte[] data = [.. Enumerable.Repeat((byte)9, Block)];
        Use(_path, harness => harness.Answer(QueueHarness.Describe(IoOperation.Write, Block, Block, UblkAbi.IoFlagFua), data));
        Assert.Equal(data, Use(_path, harness => Read(harness, Block, Block)));
    }

    [Fact]
    public void At_any_moment_the_file_shows_only_what_was_on_the_disk_once()
    {
        // Each block is of one byte, so that a foreign one shows.
        for (int i = 0; i < _base.Length; i++)
        {
            _base[i] = 1;
        }

        Random chance = new(3);
        Use(_path, harness =>
        {
            for (int round = 0; round < 30; round++)
            {
                int first = chance.Next(Size / Block - 8);
                byte[] data = [.. Enumerable.Repeat((byte)chance.Next(2, 256), 8 * Block)];
                Assert.Equal(data.Length, harness.Answer(QueueHarness.Describe(IoOperation.Write, first * Block, data.Length), data));
                if (chance.Next(3) == 0)
                {
                    Assert.Equal(0, harness.Answer(QueueHarness.Describe(IoOperation.Flush)));
                }

                string copy = $"{_path}.copy";
                File.Copy(_path, copy, overwrite: true);
                byte[] seen = Use(copy, other => Read(other, 0, Size));
                File.Delete(copy);
                Assert.Equal(-1, seen.AsSpan().IndexOf((byte)0));
            }
        });
    }

    [Fact]
    public void What_was_written_without_a_flush_is_kept_when_the_disk_is_removed()
    {
        byte[] data = [.. Enumerable.Repeat((byte)9, Block)];
        Use(_path, harness => harness.Answer(QueueHarness.Describe(IoOperation.Write, Block, Block), data));
        Assert.Equal(data, Use(_path, harness => Read(harness, Block, Block)));
    }

    [Fact]
    public void A_worker_that_dies_leaves_every_answered_write_to_the_next()
    {
        byte[] model = [.. _base];
        Random chance = new(4);
        string state = $"{_path}.state";
        for (int life = 0; life < 3; life++)
        {
            Use(_path, harness =>
            {
                Assert.Equal(model, Read(harness, 0, Size));
                for (int number = 0; number < 40; number++)
                {
                    Write(harness, chance, model);
                    Assert.True(chance.Next(8) != 0 || harness.Answer(QueueHarness.Describe(IoOperation.Flush)) == 0);
                }

                // What the kernel has when the process dies now.
                File.Copy(_path, $"{_path}.left");
                File.Copy(state, $"{state}.left");
            }, state);
            File.Move($"{_path}.left", _path, overwrite: true);
            File.Move($"{state}.left", state, overwrite: true);
        }

        Assert.Equal(model, Use(_path, harness => Read(harness, 0, Size), state));
        File.Delete(state);
        Assert.Equal(model, Use(_path, harness => Read(harness, 0, Size)));
    }

    [Fact]
    public void A_disk_whose_state_has_no_room_is_durable_with_each_write()
    {
        byte[] data = [.. Enumerable.Repeat((byte)9, Block)];
        Use(_path, harness =>
        {
            Assert.Equal(Block, harness.Answer(QueueHarness.Describe(IoOperation.Write, Block, Block), data));
            string copy = $"{_path}.copy";
            File.Copy(_path, copy);
            Assert.Equal(data, Use(copy, other => Read(other, Block, Block)));
            File.Delete(copy);
        }, "/nowhere/at/all");
    }

    [Fact]
    public void Two_disks_cannot_have_one_overlay()
    {
        using BlockTarget first = Open(_path);
        Assert.Equal(UblkError.BackingFileInUse, Assert.Throws<UblkException>(() => Open(_path)).Error);
    }

    [Fact]
    public void An_overlay_of_another_disk_is_refused_by_name_and_left_as_it_is()
    {
        Open(_path).Dispose();
        byte[] before = File.ReadAllBytes(_path);
        UblkException exception = Assert.Throws<UblkException>(() => FilterTests.Open(new MemoryTarget(Size / 2), $"Overlay={_path}"));
        Assert.Contains($"{Size} bytes", exception.Message, StringComparison.Ordinal);
        Assert.Equal(before, File.ReadAllBytes(_path));
    }

    [Fact]
    public void An_overlay_that_is_gone_is_not_made_anew_for_a_device_that_is_there()
    {
        Open(_path).Dispose();
        File.Delete(_path);
        UblkException exception = Assert.Throws<UblkException>(() => Open(_path, former: new Dictionary<string, ulong>()));
        Assert.Equal(UblkError.PathNotFound, exception.Error);
        Assert.Contains("Remove-UblkDevice", exception.Message, StringComparison.Ordinal);
        Assert.False(File.Exists(_path));
    }

    [Fact]
    public void Another_overlay_under_the_same_name_is_refused()
    {
        Dictionary<string, ulong> former = GenerationsOf(_path);
        Open(_path, former: former).Dispose();
        Assert.Equal(former, GenerationsOf(_path));

        File.Delete(_path);
        Assert.NotEqual(former, GenerationsOf(_path));
        UblkException exception = Assert.Throws<UblkException>(() => Open(_path, former: former));
        Assert.Equal(UblkError.InvalidBackingFile, exception.Error);
        Assert.Contains("replaced", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_state_of_another_overlay_is_not_believed()
    {
        string state = $"{_path}.state";
        Use(_path, harness => Write(harness, new Random(1), [.. _base]), state);
        Assert.True(File.Exists(state));
        File.Delete(_path);
        Assert.Equal(_base, Use(_path, harness => Read(harness, 0, Size), state));
        File.Delete(state);
    }

    [Fact]
    public void An_overlay_of_an_older_version_gets_its_number_with_the_next_new_device()
    {
        Open(_path).Dispose();
        using (FileStream file = new(_path, FileMode.Open))
        {
            file.Position = 24;
            file.Write(new byte[sizeof(ulong)]);
        }

        Open(_path, former: new Dictionary<string, ulong>()).Dispose();
        Assert.Equal(0UL, BitConverter.ToUInt64(File.ReadAllBytes(_path), 24));
        ulong number = GenerationsOf(_path)[_path];
        Assert.NotEqual(0UL, number);
        Assert.Equal(number, BitConverter.ToUInt64(File.ReadAllBytes(_path), 24));
    }

    [Fact]
    public void An_overlay_is_its_owners_alone()
    {
        Open(_path).Dispose();
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(_path));
    }

    [Fact]
    public void What_cannot_be_opened_leaves_no_file()
    {
        Assert.Throws<UblkException>(() => FilterTests.Open(new MemoryTarget(Size), "Cache=1", $"Overlay={_path}", "Offset=7"));
        Assert.False(File.Exists(_path));
    }

    private BlockTarget Open(string path, string? state = null, Dictionary<string, ulong>? former = null) =>
        Open(path, new TargetOptions(new Dictionary<string, string>()) { StatePath = state, FormerGenerations = former });

    private BlockTarget Open(string path, TargetOptions options)
    {
        MemoryTarget memory = new(Size);
        _base.CopyTo(memory.Data, 0);
        return FilterStack.Open([new UblkFilter("Overlay", new Dictionary<string, string> { ["Overlay"] = path })], _ => memory, options);
    }

    // What the record of a new device says of its overlay.
    private Dictionary<string, ulong> GenerationsOf(string path)
    {
        TargetOptions options = new(new Dictionary<string, string>());
        Open(path, options).Dispose();
        return new Dictionary<string, ulong>(options.Generations);
    }

    /// <summary>
    /// Opens a disk whose overlay was just closed: the ring of a queue keeps its files, and their locks, a moment longer than the queue.
    /// </summary>
    internal static BlockTarget OpenSoon(Func<BlockTarget> open)
    {
        for (int attempt = 0; ; attempt++)
        {
            try
            {
                return open();
            }
            catch (UblkException exception) when (exception.Error == UblkError.BackingFileInUse && attempt < 1000)
            {
                Thread.Sleep(5);
            }
        }
    }

    private void Use(string path, Action<QueueHarness> use, string? state = null)
    {
        using BlockTarget disk = OpenSoon(() => Open(path, state));
        QueueHarness.Run(disk, use, bufferSize: Size);
    }

    private byte[] Use(string path, Func<QueueHarness, byte[]> use, string? state = null)
    {
        byte[] result = [];
        Use(path, harness => { result = use(harness); }, state);
        return result;
    }

    private static byte[] Read(QueueHarness harness, long offset, int length)
    {
        byte[] data = new byte[length];
        Assert.Equal(length, harness.Answer(QueueHarness.Describe(IoOperation.Read, offset, length), data));
        return data;
    }

    private static void Write(QueueHarness harness, Random chance, byte[] model)
    {
        int first = chance.Next(Size / Block - 16);
        byte[] data = new byte[chance.Next(1, 16) * Block];
        chance.NextBytes(data);
        Assert.Equal(data.Length, harness.Answer(QueueHarness.Describe(IoOperation.Write, first * Block, data.Length), data));
        data.CopyTo(model, first * Block);
    }
}

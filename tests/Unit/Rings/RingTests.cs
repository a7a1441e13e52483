using System.Text;
using Ublk.Interop;
using Ublk.Rings;

namespace Ublk.Tests.Rings;

/// <summary>The ring on this machine's own kernel.</summary>
public unsafe class RingTests
{
    private const byte OpNop = 0;

    [Fact]
    public void Entries_and_completions_match_over_many_wraps()
    {
        using Ring ring = Ring.CreateForQueue(8, 16);
        ulong submitted = 0;
        ulong reaped = 0;
        for (int turn = 0; turn < 1000; turn++)
        {
            for (int i = 0; i < 1 + (turn % 8); i++)
            {
                Nop(ring, submitted++);
            }

            Assert.Equal(0, ring.Enter(1, Timeout.InfiniteTimeSpan));
            while (ring.TryReap(out IoUringCqe completion))
            {
                Assert.Equal(reaped++, completion.UserData);
            }
        }

        Assert.Equal(submitted, reaped);
    }

    [Fact]
    public void A_full_submission_queue_submits_itself_and_no_completion_is_lost()
    {
        using Ring ring = Ring.CreateForQueue(4, 8);
        const int Count = 100;
        for (ulong i = 0; i < Count; i++)
        {
            Nop(ring, i);
        }

        HashSet<ulong> seen = [];
        while (seen.Count < Count)
        {
            int result = ring.Enter(1, TimeSpan.FromSeconds(10));
            Assert.True(result is 0 or -Libc.EBUSY or -Libc.EAGAIN, $"{result}");
            while (ring.TryReap(out IoUringCqe completion))
            {
                Assert.True(seen.Add(completion.UserData));
            }
        }
    }

    [Fact]
    public void A_wait_ends_when_its_time_is_up()
    {
        using Ring ring = Ring.CreateForQueue(4, 8);
        Assert.Equal(-Libc.ETIME, ring.Enter(1, TimeSpan.FromMilliseconds(5)));
        Assert.False(ring.TryReap(out _));
    }

    [Fact]
    public void A_control_ring_has_entries_of_128_bytes()
    {
        using Ring ring = Ring.CreateForControl(4);
        Assert.NotEqual(0u, ring.SetupFlags & IoUring.SetupSqe128);
        IoUringSqe* first = ring.NextEntry();
        IoUringSqe* second = ring.NextEntry();
        Assert.Equal(128, (byte*)second - (byte*)first);
        first->Opcode = OpNop;
        first->UserData = 1;
        second->Opcode = OpNop;
        second->UserData = 2;
        Assert.Equal(0, ring.Enter(2, TimeSpan.FromSeconds(10)));
        Assert.True(ring.TryReap(out IoUringCqe completion));
        Assert.Equal(1ul, completion.UserData);
        Assert.True(ring.TryReap(out completion));
        Assert.Equal(2ul, completion.UserData);
    }

    [Fact]
    public void Flags_the_kernel_refuses_are_dropped_and_the_rest_kept()
    {
        // DEFER_TASKRUN is illegal with SQPOLL (1 << 1), and so is COOP_TASKRUN: both must go before the ring is made.
        RingSetup setup = RingSetup.Create(4, 8, RingSetup.QueueFlags | (1u << 1));
        using RingMemory memory = new(setup);
        Assert.Equal(0u, setup.Parameters.Flags & (IoUring.SetupDeferTaskRun | IoUring.SetupCoopTaskRun));
        Assert.NotEqual(0u, setup.Parameters.Flags & IoUring.SetupCqSize);
    }

    [Fact]
    public void A_flag_nobody_knows_is_an_error_with_its_errno()
    {
        UblkException exception = Assert.Throws<UblkException>(() => RingSetup.Create(4, 8, RingSetup.QueueFlags | (1u << 31)));
        Assert.Equal(Libc.EINVAL, exception.Errno);
    }

    [Fact]
    public void Registered_files_are_read_and_written_by_index()
    {
        using TemporaryFile file = new(4096);
        using Ring ring = Ring.CreateForQueue(4, 8);
        using Microsoft.Win32.SafeHandles.SafeFileHandle handle = Libc.Open(file.Path, Libc.O_RDWR);
        ring.RegisterFiles([handle]);
        byte[] text = Encoding.ASCII.GetBytes("through the ring");
        fixed (byte* bytes = text)
        {
            IoUringSqe* entry = ring.NextEntry();
            entry->Opcode = IoUring.OpWrite;
            entry->Flags = IoUring.SqeFixedFile;
            entry->Fd = 0;
            entry->Offset = 100;
            entry->Address = (ulong)bytes;
            entry->Length = (uint)text.Length;
            Assert.Equal(0, ring.Enter(1, TimeSpan.FromSeconds(10)));
        }

        Assert.True(ring.TryReap(out IoUringCqe completion));
        Assert.Equal(text.Length, completion.Result);
        Assert.Equal(text, file.Content.AsSpan(100, text.Length).ToArray());
    }

    [Theory]
    [InlineData("2\n", true, "sysctl kernel.io_uring_disabled=0")]
    [InlineData("2\n", false, "sysctl kernel.io_uring_disabled=0")]
    [InlineData("1\n", false, "Run as root")]
    [InlineData("1\n", true, "seccomp")]
    [InlineData("0\n", true, "seccomp")]
    [InlineData("", false, "seccomp")]
    public void Where_io_uring_is_forbidden_the_message_says_what_allows_it(string setting, bool isRoot, string advice)
    {
        UblkException exception = RingSetup.Forbidden(setting, isRoot);
        Assert.Equal(UblkError.PermissionDenied, exception.Error);
        Assert.Contains(advice, exception.Message, StringComparison.Ordinal);
        Assert.True(!isRoot || !exception.Message.Contains("as root", StringComparison.Ordinal));
    }

    private static void Nop(Ring ring, ulong userData)
    {
        IoUringSqe* entry = ring.NextEntry();
        entry->Opcode = OpNop;
        entry->UserData = userData;
    }
}

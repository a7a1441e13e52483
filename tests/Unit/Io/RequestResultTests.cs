using Ublk.Interop;
using Ublk.Io;
using Ublk.Serving;
using Ublk.Targets.Null;
using Ublk.Tests.Serving;

namespace Ublk.Tests.Io;

/// <summary>What the driver is told; it takes a short success for a whole one.</summary>
public class RequestResultTests
{
    [Theory]
    [InlineData(IoOperation.Read, 4096, 0, 4096)]
    [InlineData(IoOperation.Read, 4096, 4096, 4096)]
    [InlineData(IoOperation.Read, 4096, 512, -Libc.EIO)]
    [InlineData(IoOperation.Write, 4096, 4095, -Libc.EIO)]
    [InlineData(IoOperation.Write, 4096, 8192, -Libc.EIO)]
    [InlineData(IoOperation.Write, 4096, -28, -28)]
    [InlineData(IoOperation.Write, 4096, -5000, -Libc.EIO)]
    [InlineData(IoOperation.Write, 4096, int.MinValue, -Libc.EIO)]
    [InlineData(IoOperation.Flush, 0, 0, 0)]
    [InlineData(IoOperation.Flush, 0, 1, -Libc.EIO)]
    [InlineData(IoOperation.Discard, 4096, 0, 0)]
    [InlineData(IoOperation.WriteZeroes, 4096, 4096, 0)]
    public void It_is_all_or_an_errno(IoOperation operation, int length, int answer, int expected)
    {
        using NullTarget target = new(1 << 20);
        int told = 1;
        Thread thread = new(() =>
        {
            using IoQueue queue = new(1, [], target.Files);
            using KernelCopyBuffers buffers = new(1, 4096);
            IoRequest request = new(queue, 0, 0);
            buffers.Load(request, QueueHarness.Describe(operation, 0, length));
            told = RequestResult.ForDriver(request, answer);
        });
        thread.Start();
        thread.Join();
        Assert.Equal(expected, told);
    }
}

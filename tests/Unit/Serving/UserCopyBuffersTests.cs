using System.Security.Cryptography;
using Microsoft.Win32.SafeHandles;
using Ublk.Interop;
using Ublk.Io;
using Ublk.Serving;

namespace Ublk.Tests.Serving;

/// <summary>Data that the worker copies itself. A file full of holes stands for the device's node.</summary>
public class UserCopyBuffersTests
{
    private const int QueueId = 3;
    private const int Depth = 8;
    private const int Size = 64 << 10;

    [Fact]
    public void A_write_is_read_from_its_own_place() => OnNode((node, queue, buffers) =>
    {
        byte[] data = RandomNumberGenerator.GetBytes(Size);
        RandomAccess.Write(node, data, PlaceOf(5));
        IoRequest request = Load(queue, buffers, 5, IoOperation.Write, Size);
        Assert.Equal(0, buffers.CopyIn(request));
        Assert.Equal(data, request.Buffer.Span);
        Assert.Equal(Size, buffers.CopyOut(request, Size));
    });

    [Fact]
    public void A_read_is_written_to_its_own_place() => OnNode((node, queue, buffers) =>
    {
        IoRequest request = Load(queue, buffers, 7, IoOperation.Read, 4096);
        Assert.Equal(0, buffers.CopyIn(request));
        byte[] data = RandomNumberGenerator.GetBytes(4096);
        data.CopyTo(request.Buffer.Span);
        Assert.Equal(4096, buffers.CopyOut(request, 4096));
        byte[] written = new byte[8192];
        Assert.Equal(4096, RandomAccess.Read(node, written, PlaceOf(7)));
        Assert.Equal(data, written[..4096]);
    });

    [Fact]
    public void A_read_that_failed_leaves_no_data() => OnNode((node, queue, buffers) =>
    {
        Assert.Equal(-Libc.EIO, buffers.CopyOut(Load(queue, buffers, 1, IoOperation.Read, 4096), -Libc.EIO));
        Assert.Equal(0, RandomAccess.GetLength(node));
    });

    [Fact]
    public void A_write_that_is_gone_is_an_error() => OnNode((_, queue, buffers) =>
        Assert.Equal(-Libc.EIO, buffers.CopyIn(Load(queue, buffers, 0, IoOperation.Write, 4096))));

    [Fact]
    public void One_request_at_a_time_needs_one_buffer() => OnNode((_, queue, buffers) =>
    {
        nint[] addresses = [.. Enumerable.Range(0, Depth).Select(tag =>
        {
            IoRequest request = Load(queue, buffers, tag, IoOperation.Read, Size);
            buffers.CopyOut(request, -Libc.EIO);
            return request.Buffer.Address;
        })];
        Assert.Single(addresses.Distinct());
    });

    [Fact]
    public void Requests_at_once_share_no_buffer() => OnNode((_, queue, buffers) =>
    {
        IoRequest[] LoadAll() => [.. Enumerable.Range(0, Depth).Select(tag => Load(queue, buffers, tag, IoOperation.Write, Size))];
        nint[] Addresses(IoRequest[] requests) => [.. requests.Select(request => request.Buffer.Address).Order()];
        IoRequest[] first = LoadAll();
        nint[] addresses = Addresses(first);
        Assert.All(addresses.Zip(addresses.Skip(1)), pair => Assert.True(pair.Second - pair.First >= Size));

        // Freed in another order, they are all there again.
        foreach (int tag in new[] { 3, 0, 7, 1, 6, 2, 5, 4 })
        {
            buffers.CopyOut(first[tag], Size);
        }

        Assert.Equal(addresses, Addresses(LoadAll()));
    });

    [Fact]
    public void A_flush_has_no_buffer() => OnNode((_, queue, buffers) =>
    {
        for (int i = 0; i < Depth * 2; i++)
        {
            IoRequest request = Load(queue, buffers, 0, IoOperation.Flush, 0);
            Assert.Equal(0, buffers.CopyIn(request));
            Assert.Equal(0, buffers.CopyOut(request, 0));
        }
    });

    private static long PlaceOf(int tag) => 0x80000000L + ((long)QueueId << 41) + ((long)tag << 25);

    private static IoRequest Load(IoQueue queue, UserCopyBuffers buffers, int tag, IoOperation operation, int length)
    {
        IoRequest request = new(queue, tag, tag);
        buffers.Load(request, QueueHarness.Describe(operation, 0, length));
        return request;
    }

    private static void OnNode(Action<SafeFileHandle, IoQueue, UserCopyBuffers> test)
    {
        using TemporaryFile file = new(0, "/dev/shm");
        using SafeFileHandle node = Libc.Open(file.Path, Libc.O_RDWR);
        using IoQueue queue = new(Depth, [], []);
        using UserCopyBuffers buffers = new((int)node.DangerousGetHandle(), QueueId, Depth, Size);
        test(node, queue, buffers);
    }
}

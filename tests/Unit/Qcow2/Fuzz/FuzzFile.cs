using Ublk.Files;
using Ublk.Interop;
using Ublk.Io;

namespace Ublk.Tests.Qcow2.Fuzz;

/// <summary>A file in memory that is filled again for each input, so that an input costs no more than what it touches.</summary>
internal sealed class FuzzFile
{
    private const int MaxLength = 8 << 20;

    private readonly byte[] _content = new byte[MaxLength];
    private int _length;

    /// <summary>Gives it another content.</summary>
    public void Fill(ReadOnlySpan<byte> content)
    {
        content.CopyTo(_content);
        _content.AsSpan(content.Length, int.Max(0, _length - content.Length)).Clear();
        _length = content.Length;
    }

    /// <summary>Opens it.</summary>
    public ImageFile Open(string path, bool readOnly) => new Handle(this, path, readOnly);

    private int Read(Span<byte> buffer, long offset)
    {
        Assert.True(offset >= 0);
        int length = (int)long.Clamp(_length - offset, 0, buffer.Length);
        _content.AsSpan((int)long.Min(offset, _length), length).CopyTo(buffer);
        return length;
    }

    private int Write(ReadOnlySpan<byte> data, long offset)
    {
        int result = Grow(offset, data.Length);
        if (result == 0)
        {
            data.CopyTo(_content.AsSpan((int)offset));
        }

        return result < 0 ? result : data.Length;
    }

    private int Grow(long offset, long length)
    {
        Assert.True(offset >= 0 && length >= 0);
        if (offset + length > MaxLength)
        {
            return -Libc.ENOSPC;
        }

        _length = int.Max(_length, (int)(offset + length));
        return 0;
    }

    private int Punch(long offset, long length)
    {
        Assert.True(offset >= 0 && length >= 0);
        int start = (int)long.Min(offset, _length);
        _content.AsSpan(start, (int)long.Min(length, _length - start)).Clear();
        return 0;
    }

    private sealed class Handle(FuzzFile file, string path, bool readOnly) : ImageFile
    {
        public override string Path => path;

        public override bool ReadOnly => readOnly;

        public override int Alignment => 1;

        public override bool IsDirect => false;

        public override long Length => file._length;

        public override IoTask<int> SyncAsync() => 0;

        public override IoTask<int> AllocateAsync(int mode, long offset, long length)
        {
            Assert.False(readOnly);
            return mode == 0 ? file.Grow(offset, length) : file.Punch(offset, length);
        }

        protected override IoTask<int> ReadPartAsync(IoBuffer buffer, long offset) =>
            file.Read(buffer.Span, offset);

        protected override IoTask<int> WritePartAsync(IoBuffer buffer, long offset, bool durable)
        {
            Assert.False(readOnly);
            return file.Write(buffer.Span, offset);
        }
    }
}

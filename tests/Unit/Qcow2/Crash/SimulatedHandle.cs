using Ublk.Files;
using Ublk.Io;

namespace Ublk.Tests.Qcow2.Crash;

/// <summary>An open file of a simulated disk.</summary>
/// <param name="file">The file.</param>
/// <param name="path">By which it was opened.</param>
/// <param name="readOnly">Whether it may not be written.</param>
internal sealed class SimulatedHandle(SimulatedFile file, string path, bool readOnly) : ImageFile
{
    /// <inheritdoc/>
    public override string Path => path;

    /// <inheritdoc/>
    public override bool ReadOnly => readOnly;

    /// <inheritdoc/>
    public override int Alignment => 1;

    /// <inheritdoc/>
    public override bool IsDirect => !file.Disk.IsCached;

    /// <inheritdoc/>
    public override long Length => file.Length;

    /// <inheritdoc/>
    public override IoTask<int> SyncAsync()
    {
        long mark = file.BeginSync();
        return file.Disk.Perform(() => file.EndSync(mark));
    }

    /// <inheritdoc/>
    public override IoTask<int> AllocateAsync(int mode, long offset, long length)
    {
        RequireWritable();
        return file.Disk.Perform(() => file.Allocate(mode, offset, length));
    }

    protected override IoTask<int> ReadPartAsync(IoBuffer buffer, long offset) =>
        file.Disk.Perform(() => file.Read(buffer.Span, offset));

    protected override IoTask<int> WritePartAsync(IoBuffer buffer, long offset, bool durable)
    {
        RequireWritable();
        return file.Disk.Perform(() => file.Write(buffer.Span, offset, durable));
    }

    private void RequireWritable() => Assert.False(readOnly, $"{path} was written, but is open for reading alone.");
}

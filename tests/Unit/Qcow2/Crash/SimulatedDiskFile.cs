using Ublk.Files;
using Ublk.Interop;

namespace Ublk.Tests.Qcow2.Crash;

/// <summary>A file of a simulated disk, as operations on images know it.</summary>
/// <param name="file">The file.</param>
/// <param name="path">By which it was opened.</param>
internal sealed class SimulatedDiskFile(SimulatedFile file, string path) : DiskFile(path)
{
    public override long Length => file.Length;

    public override bool IsBlockDevice => false;

    public override void Read(Span<byte> buffer, long offset) => buffer[file.Read(buffer, offset)..].Clear();

    public override void Write(ReadOnlySpan<byte> buffer, long offset) => Check(file.Write(buffer, offset, durable: false), "pwrite");

    public override void SetLength(long length) => Check(file.SetLength(length), "ftruncate");

    public override bool TryPunchHole(long offset, long length) =>
        length == 0 || file.Allocate(Libc.FALLOC_FL_PUNCH_HOLE | Libc.FALLOC_FL_KEEP_SIZE, offset, length) == 0;

    protected override int Sync() => -file.EndSync(file.BeginSync());

    private void Check(int result, string operation)
    {
        if (result < 0)
        {
            throw UblkException.FromErrno(-result, operation, $"Cannot change {Path}");
        }
    }
}

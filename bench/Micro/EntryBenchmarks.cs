using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using BenchmarkDotNet.Attributes;
using Ublk.Interop;

namespace Ublk.Micro;

/// <summary>
/// The entries of 64 answers: written anew, or, as the loop does, copied from one that was prepared for the tag, and patched.
/// </summary>
public unsafe class EntryBenchmarks : IDisposable
{
    private const int Count = 64;

    private readonly IoUringSqe* _ring = (IoUringSqe*)NativeMemory.AlignedAlloc((nuint)(Count * sizeof(IoUringSqe)), 64);
    private readonly IoUringSqe* _prepared = (IoUringSqe*)NativeMemory.AlignedAlloc((nuint)(Count * sizeof(IoUringSqe)), 64);
    private int _result;

    /// <summary>Prepares an entry for each tag.</summary>
    public EntryBenchmarks()
    {
        for (int tag = 0; tag < Count; tag++)
        {
            Write(_prepared + tag, tag, 0);
        }
    }

    /// <summary>Writes each entry anew.</summary>
    [Benchmark(Baseline = true)]
    public void Anew()
    {
        _result++;
        for (int tag = 0; tag < Count; tag++)
        {
            Write(_ring + tag, tag, _result);
        }
    }

    /// <summary>Copies each entry, and changes its result.</summary>
    [Benchmark]
    public void Patched()
    {
        _result++;
        for (int tag = 0; tag < Count; tag++)
        {
            Unsafe.CopyBlock(_ring + tag, _prepared + tag, (uint)sizeof(IoUringSqe));
            ((UblkIoCommand*)&_ring[tag].Command)->Result = _result;
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        NativeMemory.AlignedFree(_ring);
        NativeMemory.AlignedFree(_prepared);
        GC.SuppressFinalize(this);
    }

    private static void Write(IoUringSqe* entry, int tag, int result)
    {
        Unsafe.InitBlockUnaligned(entry, 0, (uint)sizeof(IoUringSqe));
        entry->Opcode = IoUring.OpUringCmd;
        entry->Flags = IoUring.SqeFixedFile;
        entry->CommandOp = UblkAbi.IoCommitAndFetch;
        entry->UserData = (uint)tag;
        *(UblkIoCommand*)&entry->Command = new UblkIoCommand { Tag = (ushort)tag, Result = result };
    }
}

using System.Collections;
using System.Globalization;
using System.Text;
using Ublk.Interop;

namespace Ublk.Control;

/// <summary>A set of CPUs, as affinity masks and lists such as <c>0-3,8</c> say it.</summary>
internal sealed class CpuSet
{
    // The driver wants a mask of at least the kernel's own width; 8192 CPUs is the most any configuration has.
    internal const int MaskBytes = 1024;

    private readonly BitArray _cpus;

    private CpuSet(BitArray cpus) => _cpus = cpus;

    /// <summary>The CPUs in the set, ascending.</summary>
    public IEnumerable<int> Cpus => Enumerable.Range(0, _cpus.Length).Where(cpu => _cpus[cpu]);

    /// <summary>A set of some CPUs.</summary>
    public static CpuSet Of(IEnumerable<int> cpus) => Parse(string.Join(',', cpus));

    /// <summary>Reads a list such as <c>0-3,8</c>.</summary>
    /// <exception cref="UblkException">The text is malformed.</exception>
    public static CpuSet Parse(string list)
    {
        BitArray cpus = new(MaskBytes * 8);
        foreach (string part in list.Split(',', StringSplitOptions.TrimEntries))
        {
            string[] ends = part.Split('-', 2);
            if (!int.TryParse(ends[0], NumberStyles.None, CultureInfo.InvariantCulture, out int first)
                || !int.TryParse(ends[^1], NumberStyles.None, CultureInfo.InvariantCulture, out int last)
                || first > last || last >= cpus.Length)
            {
                throw new UblkException(UblkError.InvalidArgument, $"'{list}' is not a list of CPUs; write it like 0-3,8.");
            }

            for (int cpu = first; cpu <= last; cpu++)
            {
                cpus[cpu] = true;
            }
        }

        return new CpuSet(cpus);
    }

    /// <summary>Reads a mask, least significant bit first.</summary>
    internal static CpuSet FromMask(ReadOnlySpan<byte> mask) => new(new BitArray(mask.ToArray()));

    /// <summary>The CPUs the calling process may run on.</summary>
    internal static CpuSet OfThisProcess() => OfThread(0);

    /// <summary>The CPUs a thread may run on; 0 is the calling one.</summary>
    internal static unsafe CpuSet OfThread(int threadId)
    {
        byte[] mask = new byte[MaskBytes];
        fixed (byte* bytes = mask)
        {
            _ = Libc.SchedGetAffinity(threadId, MaskBytes, bytes);
        }

        return FromMask(mask);
    }

    /// <summary>The CPUs in both sets.</summary>
    internal CpuSet Intersect(CpuSet other) => new(new BitArray(_cpus).And(other._cpus));

    /// <summary>Binds a thread to the set; 0 is the calling one.</summary>
    /// <exception cref="UblkException">None of its CPUs exists, or they are not allowed to its process.</exception>
    internal unsafe void Bind(int threadId)
    {
        byte[] mask = new byte[MaskBytes];
        _cpus.CopyTo(mask, 0);
        fixed (byte* bytes = mask)
        {
            if (Libc.SchedSetAffinity(threadId, MaskBytes, bytes) != 0)
            {
                throw new UblkException(UblkError.InvalidArgument,
                    $"A queue cannot run on CPU {this}: {Libc.Describe(Libc.LastErrno)}. This process may use {OfThisProcess()}.",
                    Libc.LastErrno, "sched_setaffinity");
            }
        }
    }

    /// <summary>The set as a list such as <c>0-3,8</c>.</summary>
    public override string ToString()
    {
        StringBuilder text = new();
        for (int cpu = 0; cpu < _cpus.Length; cpu++)
        {
            if (!_cpus[cpu])
            {
                continue;
            }

            int first = cpu;
            while (cpu + 1 < _cpus.Length && _cpus[cpu + 1])
            {
                cpu++;
            }

            text.Append(text.Length > 0 ? "," : "").Append(CultureInfo.InvariantCulture, $"{first}");
            if (cpu > first)
            {
                text.Append(CultureInfo.InvariantCulture, $"-{cpu}");
            }
        }

        return text.ToString();
    }
}

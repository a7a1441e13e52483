using Microsoft.Win32.SafeHandles;
using Ublk.Files;
using Ublk.Io;
using Ublk.Targets;
using Ublk.Targets.Qcow2;
using Ublk.Tests.Serving;

namespace Ublk.Tests.Qcow2;

/// <summary>Opens qcow2 disks as a worker does, and does simple things to them.</summary>
internal static class Qcow2Disk
{
    /// <summary>Opens a disk.</summary>
    public static Qcow2Target Open(string path, params (string Name, string Value)[] options) => Open(path, false, options);

    /// <summary>Opens a disk, perhaps for reading alone.</summary>
    public static Qcow2Target Open(string path, bool readOnly, params (string Name, string Value)[] options)
    {
        Dictionary<string, string> values = options.ToDictionary(option => option.Name, option => option.Value);
        values["Path"] = path;
        return Qcow2Target.Open(new TargetOptions(values) { ReadOnly = readOnly });
    }

    /// <summary>Closes a disk's files as they are, as the kernel does for a process that is killed.</summary>
    public static void Kill(Qcow2Target target)
    {
        foreach (SafeFileHandle file in target.Files)
        {
            FileLock.Release(file);
            file.Dispose();
        }

        // Nothing can be written any more.
        _ = Record.Exception(target.Dispose);
    }

    /// <summary>The whole disk as the target reads it.</summary>
    public static byte[] Read(Qcow2Target target)
    {
        byte[] content = new byte[target.Geometry.Size];
        QueueHarness.Run(target, harness =>
        {
            const int Step = 64 << 10;
            for (int start = 0; start < content.Length; start += Step)
            {
                int length = int.Min(Step, content.Length - start);
                Assert.Equal(length, harness.Answer(QueueHarness.Describe(IoOperation.Read, start, length), content.AsSpan(start, length)));
            }
        });
        return content;
    }

    /// <summary>The answer to one write of a byte, again and again.</summary>
    public static int Write(Qcow2Target target, int offset, int length, byte value) => Do(target, IoOperation.Write, offset, length, value);

    /// <summary>The answer to one discard.</summary>
    public static int Discard(Qcow2Target target, int offset, int length)
    {
        int result = 0;
        QueueHarness.Run(target, harness => result = harness.Answer(QueueHarness.Describe(IoOperation.Discard, offset, length)));
        return result;
    }

    /// <summary>The answer to one request.</summary>
    public static int Do(Qcow2Target target, IoOperation operation, int offset = 0, int length = 0, byte value = 0)
    {
        int result = 0;
        byte[] data = [.. Enumerable.Repeat(value, length)];
        QueueHarness.Run(target, harness => result = harness.Answer(QueueHarness.Describe(operation, offset, length), data));
        return result;
    }
}

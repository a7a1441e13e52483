using System.Diagnostics;
using System.Globalization;
using Ublk.Counters;
using Ublk.Devices;
using Ublk.Interop;
using Ublk.Targets;
using Ublk.Workers;

namespace Ublk.Lifecycle;

/// <summary>
/// What is behind a disk elsewhere: as large as the disk's worker has found it, and changed by a process of its own, since it takes
/// libraries that only workers load.
/// </summary>
/// <param name="info">The device.</param>
/// <param name="target">The target.</param>
/// <param name="readOnly">Whether the disk is.</param>
/// <param name="workerDirectory">The folder of worker programs.</param>
internal sealed class RemoteStorage(UblkDeviceInfo info, TargetDefinition target, bool readOnly, string workerDirectory) : DiskStorage
{
    /// <inheritdoc/>
    public override long? Size { get; } = StateDirectory.TryReadCounters(info) is { } counters
        && TargetCounterSlot.Read(counters).TryGetValue(target.SizeCounter!, out long size)
            ? size
            : null;

    /// <inheritdoc/>
    public override IReadOnlyDictionary<string, string> Resize(long size)
    {
        if (target.ResizeStorage is null || readOnly)
        {
            throw new UblkException(UblkError.NotSupported,
                $"{(readOnly ? "A read-only disk" : $"The {target.Name} target")} cannot change the size of its storage. "
                    + "Change it there, and omit -Size.",
                operation: "resize");
        }

        Change(size);
        return StateDirectory.Own.TryRead((int)info.DeviceId)!.Specification.Options;
    }

    /// <inheritdoc/>
    public override void Undo() => Change(Size!.Value);

    private void Change(long size)
    {
        string[] arguments = [WorkerArguments.ResizeStorage, Text(info.DeviceId), Text(size)];
        using Process process = WorkerProgram.Locate(workerDirectory).RunLimited(replacesFiles: false, arguments);
        process.StandardInput.Close();
        string error = process.StandardError.ReadToEnd().Trim();
        process.WaitForExit();
        if (process.ExitCode != 0)
        {
            throw new UblkException(UblkError.OperationFailed, error, operation: "resize", deviceId: (int)info.DeviceId);
        }

        static string Text(long number) => number.ToString(CultureInfo.InvariantCulture);
    }
}

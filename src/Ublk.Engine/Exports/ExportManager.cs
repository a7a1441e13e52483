using Microsoft.Win32.SafeHandles;
using Ublk.Devices;
using Ublk.Files;
using Ublk.Interop;
using Ublk.Processes;
using Ublk.Workers;

namespace Ublk.Exports;

/// <summary>Makes, finds and removes the exports of the calling user.</summary>
internal static class ExportManager
{
    // Opening an image for writing may repair it first.
    private static readonly TimeSpan s_startTimeout = TimeSpan.FromMinutes(5);
    private static readonly TimeSpan s_pollInterval = TimeSpan.FromMilliseconds(20);

    /// <summary>Where the socket of an export is unless the user says.</summary>
    public static string DefaultSocket(string name) => Path.Combine(StateDirectory.Own.Path, $"export-{name}.socket");

    /// <summary>The exports there are.</summary>
    public static IReadOnlyList<UblkExport> List() =>
        [.. ExportRecord.All().Where(record => record.ProcessId > 0).Select(UblkExport.Of)];

    /// <summary>Makes an export and returns when clients can connect.</summary>
    /// <param name="specification">What is wanted.</param>
    /// <param name="workerDirectory">The module's folder of worker programs.</param>
    /// <param name="warn">Takes a sentence that the user should see although it works.</param>
    /// <param name="cancellation">Gives up and undoes what was done.</param>
    /// <exception cref="UblkException">It could not be made; nothing of it is left.</exception>
    /// <exception cref="OperationCanceledException">It was given up; nothing of it is left.</exception>
    public static UblkExport Start(
        ExportSpecification specification, string workerDirectory, Action<string> warn, CancellationToken cancellation)
    {
        specification.Validate();
        WorkerProgram program = WorkerProgram.Locate(workerDirectory);
        using SafeFileHandle nameLock = StateDirectory.Own.LockExports(cancellation);
        RequireFree(specification);
        ExportRecord record = new() { Specification = specification };
        record.Write();
        StartedWorker? worker = null;
        try
        {
            string name = specification.Name;
            worker = program.Start($"ublk-export-{name}", $"ublk export {name}", [WorkerArguments.Export, name]);
            Deadline deadline = new(s_startTimeout);
            while (true)
            {
                bool isDead = worker.IsDead;
                record = ExportRecord.TryRead(name) ?? throw Died(name, worker.Process?.ReadComplaint());
                if (record.Failure is { } failure)
                {
                    throw failure.ToException();
                }

                if (record.IsServed)
                {
                    foreach (string warning in record.Warnings)
                    {
                        warn(warning);
                    }

                    return UblkExport.Of(record);
                }

                if (isDead || record.ProcessId > 0)
                {
                    throw Died(name, worker.Process?.ReadComplaint());
                }

                if (deadline.IsOver)
                {
                    throw new UblkException(UblkError.TimedOut,
                        $"The worker of export {name} was not ready within {s_startTimeout.TotalMinutes} minutes, so it was stopped. "
                            + "Its log may show the cause: journalctl -t ublk", Libc.ETIMEDOUT, "start");
                }

                cancellation.WaitHandle.WaitOne(s_pollInterval);
                cancellation.ThrowIfCancellationRequested();
            }
        }
        catch
        {
            Undo(record, worker);
            throw;
        }
        finally
        {
            worker?.Dispose();
        }
    }

    /// <summary>Ends an export: requests in flight end first, and connections are closed.</summary>
    /// <param name="name">The export.</param>
    /// <param name="force">Whether to do it although clients are connected.</param>
    /// <param name="warn">Takes a warning for the user.</param>
    /// <param name="cancellation">Ends the wait.</param>
    /// <exception cref="UblkException">
    /// The export does not exist, clients are connected, or the worker does not end. Or it is removed, but what clients wrote last could
    /// not be written back.
    /// </exception>
    public static void Remove(string name, bool force, Action<string> warn, CancellationToken cancellation)
    {
        using SafeFileHandle nameLock = StateDirectory.Own.LockExports(cancellation);
        ExportRecord record = ExportRecord.TryRead(name)
            ?? throw NotFound(name);
        if (record.IsServed)
        {
            if (record.Clients > 0 && !force)
            {
                throw new UblkException(UblkError.ExportInUse,
                    $"{record.Clients} clients are connected to export '{name}'. Disconnect them, or: Remove-UblkExport {name} -Force",
                    Libc.EBUSY, "remove");
            }

            End(record, warn, cancellation);
            record = ExportRecord.TryRead(name) ?? record;
        }

        record.Delete();
        if (record.Failure is { } failure)
        {
            throw failure.ToException();
        }
    }

    /// <summary>The error of a name that no export has.</summary>
    public static UblkException NotFound(string name) =>
        new(UblkError.ExportNotFound, $"There is no export '{name}'. List the exports: Get-UblkExport");

    private static void End(ExportRecord record, Action<string> warn, CancellationToken cancellation)
    {
        _ = Libc.Kill(record.ProcessId, Libc.SIGTERM);
        if (!new Deadline(WorkerTimeouts.Stop).Wait(() => !record.IsServed, cancellation))
        {
            // Its storage does not answer.
            _ = Libc.Kill(record.ProcessId, Libc.SIGKILL);
            if (!ProcessStatus.AwaitDeath(record.ProcessId, WorkerTimeouts.Stop))
            {
                throw new UblkException(UblkError.TimedOut,
                    $"The worker of export '{record.Specification.Name}', process {record.ProcessId}, does not end: the storage of "
                        + $"{record.Specification.Path} does not answer.", Libc.ETIMEDOUT, "remove");
            }

            if (record.Specification.Writable)
            {
                warn($"The worker of export '{record.Specification.Name}' did not end in time and was killed: what clients wrote to "
                    + $"{record.Specification.Path} and did not flush may be lost.");
            }
        }
    }

    private static void RequireFree(ExportSpecification specification)
    {
        if (ExportRecord.TryRead(specification.Name) is { } former)
        {
            if (former.IsServed)
            {
                throw new UblkException(UblkError.NameInUse,
                    $"There is an export '{former.Specification.Name}' of {former.Specification.Path}. Choose another -Name, or remove it: "
                        + $"Remove-UblkExport {former.Specification.Name}");
            }

            former.Delete();
        }

        if (specification.SocketPath is { } path && Path.Exists(path))
        {
            throw new UblkException(UblkError.PathExists, $"{path} already exists. Choose another -Socket, or delete it.", Libc.EEXIST,
                "bind");
        }
    }

    private static void Undo(ExportRecord record, StartedWorker? worker)
    {
        int? process = record.ProcessId > 0 ? record.ProcessId : worker?.FindProcess();
        if (process is { } id && ProcessStatus.IsAlive(id))
        {
            _ = Libc.Kill(id, Libc.SIGKILL);
            ProcessStatus.AwaitDeath(id, WorkerTimeouts.Stop);
        }

        // The worker may have bound its socket since the record was read.
        (ExportRecord.TryRead(record.Specification.Name) ?? record).Delete();
    }

    private static UblkException Died(string name, string? complaint) => new(UblkError.WorkerDied,
        $"The worker of export {name} ended before it served. "
            + (string.IsNullOrEmpty(complaint)
                ? "Its log may show the cause: journalctl -t ublk"
                : $"It reported: {complaint}"),
        operation: "start");
}

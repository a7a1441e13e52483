using System.Net;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Ublk.Exports;
using Ublk.Exports.Server;
using Ublk.Files;
using Ublk.Logging;
using Ublk.Processes;
using Ublk.Qcow2.Compression;
using Ublk.Targets.Nbd;
using Ublk.Workers;

namespace Ublk.Worker;

/// <summary>The life of an export's worker: open what is exported, serve it, clean up.</summary>
internal sealed class ExportWorker
{
    private readonly Log _log = new(null);
    private readonly string _name;
    private ExportRecord _record;

    private ExportWorker(ExportRecord record)
    {
        _record = record;
        _name = record.Specification.Name;
    }

    /// <summary>Serves an export until it is removed.</summary>
    /// <param name="name">The export, whose record says what it is.</param>
    /// <returns>The exit code.</returns>
    public static int Run(string name)
    {
        Daemon.LeaveSession();
        Daemon.CloseStandardStreams();
        return ExportRecord.TryRead(name) is { } record ? new ExportWorker(record).Run() : ExitCode.Unavailable;
    }

    private int Run()
    {
        using ManualResetEventSlim stop = new();
        using PosixSignalRegistration terminate = StopOn(PosixSignal.SIGTERM, stop);
        using PosixSignalRegistration interrupt = StopOn(PosixSignal.SIGINT, stop);
        using PosixSignalRegistration hangUp = PosixSignalRegistration.Create(PosixSignal.SIGHUP, context => context.Cancel = true);
        ExportedDisk? disk = null;
        try
        {
            ClusterCodec.AddZstd(new ZstdCodec());
            ExportSpecification specification = _record.Specification;
            List<string> warnings = [];
            disk = ExportOpening.Open(specification, warnings, out ImageFormat format);

            // Report unusable certificates before the first client connects.
            NbdServerCertificates? certificates =
                specification.TlsCertificates is { } folder ? NbdServerCertificates.In(folder) : null;
            if (certificates is not null)
            {
                NbdTls.ForServer(certificates).Dispose();
            }

            SafeFileHandle listener = specification.SocketPath is { } path
                ? NbdSocket.ListenForOwner(path)
                : NbdSocket.Listen(IPAddress.Parse(specification.Address), specification.Port);
            _record = _record with
            {
                Socket = FileIdentity.Of(specification.SocketPath),
                ProcessId = Environment.ProcessId,
                StartTicks = ProcessStatus.StartTicksOf(Environment.ProcessId),
                StartTime = DateTime.UtcNow,
                Size = disk.Size,
                Format = format,
                Contexts = [.. disk.Contexts.Select(context => context.Name)],
                Warnings = warnings,
            };
            _record.Write();
            _log.Write(LogLevel.Information, $"export {_name} is live: {specification.Path} at {specification.Uri}");
            using (ExportServer server = new(
                disk, listener, specification.SocketPath is null, certificates, Warn, NoteClients,
                ExportServer.SilenceTimeout))
            {
                stop.Wait();
            }

            return Finish(disk);
        }
        catch (Exception exception)
        {
            _log.Write(LogLevel.Error, $"export {_name} cannot be served: {exception.Message}");
            _record.DeleteSocket();
            (_record with { Failure = WorkerFailure.From(exception) }).Write();
            return ExitCode.Unavailable;
        }
        finally
        {
            disk?.Dispose();
        }
    }

    private static PosixSignalRegistration StopOn(PosixSignal signal, ManualResetEventSlim stop) =>
        PosixSignalRegistration.Create(signal, context =>
        {
            context.Cancel = true;
            stop.Set();
        });

    private int Finish(ExportedDisk disk)
    {
        try
        {
            disk.Target.Finish();
        }
        catch (Exception exception)
        {
            // The record stays, so that Remove-UblkExport reports the failure.
            _log.Write(LogLevel.Error, $"export {_name}: {exception.Message}");
            _record.DeleteSocket();
            (_record with { Failure = WorkerFailure.From(exception) }).Write();
            return ExitCode.Software;
        }

        _record.Delete();
        _log.Write(LogLevel.Information, $"export {_name} has ended");
        return ExitCode.Done;
    }

    private void Warn(string message) => _log.Write(LogLevel.Warning, $"export {_name}: {message}");

    // For people to see; the export works as well without.
    private void NoteClients(int count)
    {
        try
        {
            _record = _record with { Clients = count };
            _record.Write();
        }
        catch (UblkException exception)
        {
            Warn(exception.Message);
        }
    }
}

using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Ublk.Devices;
using Ublk.Launching;
using Ublk.Specification;
using Ublk.Workers;

namespace Ublk.Hosting;

/// <summary>
/// The process that starts and removes a device which this one serves: <c>ublk-worker guard</c>. Its standard input is this
/// process's hold on the device: when it closes, the device is removed.
/// </summary>
internal sealed class GuardProcess : IAsyncDisposable
{
    private readonly Process _process;
    private readonly WorkerProgram _program;
    private readonly DeviceSpecification _specification;

    private GuardProcess(Process process, WorkerProgram program, DeviceSpecification specification)
    {
        _process = process;
        _program = program;
        _specification = specification;
    }

    /// <summary>Starts the process, which starts the device at once.</summary>
    /// <exception cref="UblkException">It cannot be started.</exception>
    public static GuardProcess Start(WorkerProgram program, DeviceSpecification specification) =>
        new(program.Run(WorkerArguments.Guard, Text(specification.Id!.Value), Text(Environment.ProcessId)), program, specification);

    /// <summary>Waits until the disk can be used.</summary>
    /// <exception cref="UblkException">It cannot.</exception>
    /// <exception cref="OperationCanceledException">The wait was given up.</exception>
    public void AwaitReady(CancellationToken cancellation)
    {
        string? line = _process.StandardOutput.ReadLineAsync(cancellation).AsTask().GetAwaiter().GetResult();
        WorkerReport? report = line is null ? null : JsonSerializer.Deserialize(line, LaunchJson.Default.WorkerReport);
        if (report?.Stage != WorkerStage.Ready)
        {
            throw report?.Failure?.ToException() ?? new UblkException(UblkError.WorkerDied,
                "The process that starts the device ended before the device was live.", deviceId: _specification.Id);
        }
    }

    /// <summary>Has the device removed; its queues end when that is done.</summary>
    public void RequestRemoval()
    {
        _process.StandardInput.Close();

        // One that was killed removes nothing.
        if (_process.HasExited && DeviceIdentity.Exists(_specification.Id!.Value, _specification.Cookie))
        {
            using Process other = _program.Run(WorkerArguments.Remove, Text(_specification.Id!.Value));
        }
    }

    /// <summary>Waits until the process has ended.</summary>
    public async ValueTask DisposeAsync()
    {
        await _process.WaitForExitAsync().ConfigureAwait(false);
        _process.Dispose();
    }

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
}

using System.Management.Automation;
using Ublk.Logging;

namespace Ublk.PowerShell.Commands;

/// <summary>Gets log messages of the workers of devices.</summary>
[Cmdlet(VerbsCommon.Get, "UblkLog", DefaultParameterSetName = "Id")]
[OutputType(typeof(UblkLogEntry))]
public sealed class GetUblkLogCommand : UblkDeviceQueryCommand
{
    private static readonly TimeSpan PollInterval = TimeSpan.FromSeconds(0.5);

    private readonly List<int?> _ids = [];

    /// <summary>The time of the first message.</summary>
    [Parameter]
    public DateTime? Since { get; set; }

    /// <summary>The least severe level of messages.</summary>
    [Parameter]
    public LogLevel Level { get; set; } = LogLevel.Information;

    /// <summary>The number of messages, from the newest back.</summary>
    [Parameter]
    [ValidateRange(0, int.MaxValue)]
    public int Tail { get; set; } = int.MaxValue;

    /// <summary>Waits for new messages until the pipeline is stopped.</summary>
    [Parameter]
    public SwitchParameter Follow { get; set; }

    /// <inheritdoc/>
    protected override void EndProcessing() => Attempt(null, () =>
    {
        IReadOnlyList<UblkLogEntry> seen = ReadSince(Since);
        WriteObject(seen.TakeLast(Tail), enumerateCollection: true);
        while (Follow && _ids.Count > 0 && !StopToken.WaitHandle.WaitOne(PollInterval))
        {
            // Messages of the same time as the last are read again, so those that were shown are left out.
            IReadOnlyList<UblkLogEntry> read = ReadSince(seen.Count > 0 ? seen[^1].Time : Since);
            UblkLogEntry[] added = [.. read.Except(seen)];
            WriteObject(added, enumerateCollection: true);
            seen = added.Length > 0 ? read : seen;
        }
    });

    /// <inheritdoc/>
    private protected override void Read(IEnumerable<int> ids) => _ids.AddRange(ids.Cast<int?>());

    // Those that are gone as well.
    /// <inheritdoc/>
    private protected override void ReadAll() => _ids.Add(null);

    private UblkLogEntry[] ReadSince(DateTime? since) =>
    [
        .. (_ids.Contains(null) ? [null] : _ids.Distinct())
            .SelectMany(id => DeviceLog.Read(id, since))
            .Where(entry => entry.Level is not { } level || level <= Level)
            .OrderBy(entry => entry.Time),
    ];
}

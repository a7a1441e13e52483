using System.Management.Automation;
using Ublk.Logging;

namespace Ublk.PowerShell.Commands;

/// <summary>Gets log messages of the workers of devices.</summary>
[Cmdlet(VerbsCommon.Get, "UblkLog", DefaultParameterSetName = "Id")]
[OutputType(typeof(UblkLogEntry))]
public sealed class GetUblkLogCommand : UblkCommand
{
    private static readonly TimeSpan PollInterval = TimeSpan.FromSeconds(0.5);

    private readonly List<int?> _ids = [];

    /// <summary>Devices by id; by default all, including those that are gone.</summary>
    [Parameter(Position = 0, ParameterSetName = "Id", ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [ArgumentCompleter(typeof(DeviceIdCompleter))]
    public int[]? Id { get; set; }

    /// <summary>Devices by the path of the block device, of its stable name, or of the file behind it.</summary>
    [Parameter(Mandatory = true, ParameterSetName = "Path")]
    [ArgumentCompleter(typeof(DevicePatternCompleter))]
    [SupportsWildcards]
    public string[] Path { get; set; } = [];

    /// <summary>Devices by the same paths, without wildcards.</summary>
    [Parameter(Mandatory = true, ParameterSetName = "LiteralPath")]
    [Alias("PSPath", "FullName")]
    [ArgumentCompleter(typeof(DevicePathCompleter))]
    public string[] LiteralPath { get; set; } = [];

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
    protected override void ProcessRecord()
    {
        if (ParameterSetName == "Id")
        {
            _ids.AddRange(Id?.Cast<int?>() ?? [null]);
        }
        else
        {
            foreach (string path in ParameterSetName == "LiteralPath" ? LiteralPath : Path)
            {
                Attempt(path, () => _ids.AddRange(
                    DevicePaths.Find(SessionState, path, ParameterSetName == "LiteralPath").Select(device => (int?)device.Id)));
            }
        }
    }

    /// <inheritdoc/>
    protected override void EndProcessing() => Attempt(null, () =>
    {
        IReadOnlyList<UblkLogEntry> seen = Read(Since);
        WriteObject(seen.TakeLast(Tail), enumerateCollection: true);
        while (Follow && _ids.Count > 0 && !StopToken.WaitHandle.WaitOne(PollInterval))
        {
            // Messages of the same time as the last are read again, so those that were shown are left out.
            IReadOnlyList<UblkLogEntry> read = Read(seen.Count > 0 ? seen[^1].Time : Since);
            UblkLogEntry[] added = [.. read.Except(seen)];
            WriteObject(added, enumerateCollection: true);
            seen = added.Length > 0 ? read : seen;
        }
    });

    private UblkLogEntry[] Read(DateTime? since) =>
    [
        .. (_ids.Contains(null) ? [null] : _ids.Distinct())
            .SelectMany(id => DeviceLog.Read(id, since))
            .Where(entry => entry.Level is not { } level || level <= Level)
            .OrderBy(entry => entry.Time),
    ];
}

using System.Management.Automation;
using Ublk.Devices;
using Ublk.Lifecycle;
using Ublk.Specification;

namespace Ublk.PowerShell.Commands;

/// <summary>Changes live devices: the CPUs of their threads, whether their disks take writes, their limits and filters.</summary>
[Cmdlet(VerbsCommon.Set, "UblkDevice", DefaultParameterSetName = "Id", SupportsShouldProcess = true)]
[OutputType(typeof(UblkDevice))]
public sealed class SetUblkDeviceCommand : UblkDeviceCommand
{
    private UblkFilter[]? _filters;

    /// <summary>CPU lists: one for all queues, or one for each.</summary>
    [Parameter]
    [ArgumentCompleter(typeof(CpuListCompleter))]
    [ValidateNotNullOrEmpty]
    public string[]? QueueAffinity { get; set; }

    /// <summary>Makes the disk refuse writes, or with $false take them again.</summary>
    [Parameter]
    public SwitchParameter ReadOnly { get; set; }

    /// <summary>The filters that the disk is to have in place of those that can be exchanged while it is in use.</summary>
    [Parameter]
    [AllowEmptyCollection]
    [ArgumentCompleter(typeof(FilterCompleter))]
    public object[]? Filter { get; set; }

    /// <summary>Bytes that can be read in a second; 0 for no limit.</summary>
    [Parameter]
    [ValidateRange(0L, long.MaxValue)]
    public long? ReadLimit { get; set; }

    /// <summary>Bytes that can be written in a second; 0 for no limit.</summary>
    [Parameter]
    [ValidateRange(0L, long.MaxValue)]
    public long? WriteLimit { get; set; }

    /// <summary>Reads in a second; 0 for no limit.</summary>
    [Parameter]
    [ValidateRange(0L, long.MaxValue)]
    public long? ReadRequestLimit { get; set; }

    /// <summary>Requests other than reads in a second; 0 for no limit.</summary>
    [Parameter]
    [ValidateRange(0L, long.MaxValue)]
    public long? WriteRequestLimit { get; set; }

    /// <summary>Milliseconds of idle time whose share the disk may use up at once.</summary>
    [Parameter]
    [ValidateRange(0L, 3_600_000L)]
    public long? LimitBurst { get; set; }

    /// <inheritdoc/>
    protected override string Action => "Set ublk device";

    // The parameters have the names of the filter's options.
    private Dictionary<string, long> Limits => new (string Name, long? Value)[]
    {
        (nameof(ReadLimit), ReadLimit), (nameof(WriteLimit), WriteLimit), (nameof(ReadRequestLimit), ReadRequestLimit),
        (nameof(WriteRequestLimit), WriteRequestLimit), (nameof(LimitBurst), LimitBurst),
    }.Where(limit => limit.Value is not null).ToDictionary(limit => limit.Name, limit => limit.Value!.Value);

    private bool IsReadOnlyGiven => MyInvocation.BoundParameters.ContainsKey(nameof(ReadOnly));

    /// <inheritdoc/>
    protected override void BeginProcessing() => Require(null, () =>
    {
        if (QueueAffinity is null && !IsReadOnlyGiven && Filter is null && Limits.Count == 0)
        {
            throw new UblkException(UblkError.InvalidArgument,
                "There is nothing to change. Give -QueueAffinity, -ReadOnly, -Filter, or a limit such as -ReadLimit.");
        }

        _filters = Filter?.Select(filter => FilterArgument.Read(filter, GetUnresolvedProviderPathFromPSPath)).ToArray();
    });

    /// <inheritdoc/>
    protected override void Apply(int id, Action<string> step)
    {
        if (QueueAffinity is not null)
        {
            step($"Moving the threads of device {id}.");
            DeviceAffinity.Set(id, QueueAffinity, StopToken);
        }

        if (_filters is not null || Limits.Count > 0)
        {
            step($"Exchanging the filters of device {id}.");
            DeviceFilters.Set(id, Change, step, StopToken);
        }

        if (IsReadOnlyGiven)
        {
            step($"Making {(ReadOnly ? "the disk read-only" : "the disk writable")}.");
            DeviceWriteAccess.Set(id, ReadOnly);
        }

        WriteDevice(id);
    }

    private IReadOnlyList<UblkFilter> Change(IReadOnlyList<UblkFilter> filters)
    {
        filters = _filters is null ? filters : DeviceFilters.Replace(filters, _filters);
        return Limits.Count == 0 ? filters : DeviceFilters.Limit(filters, Limits);
    }
}

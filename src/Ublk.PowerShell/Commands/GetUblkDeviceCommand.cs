using System.Management.Automation;
using Ublk.Devices;

namespace Ublk.PowerShell.Commands;

/// <summary>Lists ublk devices, of any server.</summary>
[Cmdlet(VerbsCommon.Get, "UblkDevice", DefaultParameterSetName = "Id")]
[OutputType(typeof(UblkDevice))]
public sealed class GetUblkDeviceCommand : UblkCommand
{
    private bool _isSomethingHidden;

    /// <summary>Devices by id.</summary>
    [Parameter(Position = 0, ParameterSetName = "Id", ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [ArgumentCompleter(typeof(DeviceIdCompleter))]
    public int[]? Id { get; set; }

    /// <summary>Devices by the path of the block device, of its stable name, or of the file behind it.</summary>
    [Parameter(Mandatory = true, ParameterSetName = "Path")]
    [ArgumentCompleter(typeof(DevicePatternCompleter))]
    [SupportsWildcards]
    public string[] Path { get; set; } = [];

    /// <summary>Devices by the same paths, taken as they are. The path of an object in the pipeline comes here.</summary>
    [Parameter(Mandatory = true, ParameterSetName = "LiteralPath", ValueFromPipelineByPropertyName = true)]
    [Alias("PSPath", "FullName")]
    [ArgumentCompleter(typeof(DevicePathCompleter))]
    public string[] LiteralPath { get; set; } = [];

    /// <summary>Only devices with one of these names.</summary>
    [Parameter]
    [ArgumentCompleter(typeof(DeviceNameCompleter))]
    [SupportsWildcards]
    public string[] Name { get; set; } = [];

    /// <summary>Only devices in one of these states.</summary>
    [Parameter]
    public DeviceState[] State { get; set; } = [];

    /// <summary>Only devices with one of these targets.</summary>
    [Parameter]
    [ArgumentCompleter(typeof(TargetCompleter))]
    [SupportsWildcards]
    public string[] Target { get; set; } = [];

    /// <inheritdoc/>
    protected override void ProcessRecord()
    {
        if (ParameterSetName != "Id")
        {
            foreach (string path in ParameterSetName == "LiteralPath" ? LiteralPath : Path)
            {
                Attempt(path, () => Write(DevicePaths.Find(SessionState, path, ParameterSetName == "LiteralPath")));
            }
        }
        else if (Id is null)
        {
            Write(DeviceInventory.List());
        }
        else
        {
            foreach (int id in Id)
            {
                Attempt(id, () => Write([DeviceInventory.Get(id)]));
            }
        }
    }

    /// <inheritdoc/>
    protected override void EndProcessing()
    {
        if (_isSomethingHidden)
        {
            WriteWarning(
                "Only root and the owner of a device see its state, flags and owner. Run as root to see them.");
        }
    }

    private void Write(IReadOnlyList<UblkDevice> devices)
    {
        WriteObject(devices.Where(IsWanted), enumerateCollection: true);
        _isSomethingHidden |= devices.Any(device => !device.IsComplete);
    }

    private bool IsWanted(UblkDevice device) =>
        IsOneOf(Name, device.Name) && IsOneOf(Target, device.Target)
        && (State.Length == 0 || (device.State is { } state && State.Contains(state)));

    private static bool IsOneOf(string[] patterns, string? text) => patterns.Length == 0
        || (text is not null && patterns.Any(pattern => new WildcardPattern(pattern, WildcardOptions.IgnoreCase).IsMatch(text)));
}

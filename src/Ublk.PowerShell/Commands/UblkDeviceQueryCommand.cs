using System.Management.Automation;

namespace Ublk.PowerShell.Commands;

/// <summary>What the cmdlets have in common that read what workers leave: how the user names the devices, or means all.</summary>
public abstract class UblkDeviceQueryCommand : UblkCommand
{
    /// <summary>Devices by id; by default all.</summary>
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

    /// <inheritdoc/>
    protected override void ProcessRecord()
    {
        if (ParameterSetName != "Id")
        {
            foreach (string path in ParameterSetName == "LiteralPath" ? LiteralPath : Path)
            {
                Attempt(path, () => Read(
                    DevicePaths.Find(SessionState, path, ParameterSetName == "LiteralPath").Select(device => device.Id)));
            }
        }
        else if (Id is null)
        {
            ReadAll();
        }
        else
        {
            Read(Id);
        }
    }

    /// <summary>Reads what there is of some devices.</summary>
    /// <param name="ids">The devices.</param>
    private protected abstract void Read(IEnumerable<int> ids);

    /// <summary>Reads what there is of all devices.</summary>
    private protected abstract void ReadAll();
}

using System.Management.Automation;
using Ublk.Control;
using Ublk.Devices;

namespace Ublk.PowerShell.Commands;

/// <summary>What the cmdlets have in common that change devices which are there: how the user names them.</summary>
public abstract class UblkDeviceCommand : UblkCommand
{
    /// <summary>Devices by id.</summary>
    [Parameter(Mandatory = true, Position = 0, ParameterSetName = "Id",
        ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [ArgumentCompleter(typeof(DeviceIdCompleter))]
    public int[] Id { get; set; } = [];

    /// <summary>Devices as Get-UblkDevice and New-UblkDevice give them.</summary>
    [Parameter(Mandatory = true, ParameterSetName = "InputObject", ValueFromPipeline = true)]
    public UblkDevice[] InputObject { get; set; } = [];

    /// <summary>Devices by the path of the block device, of its stable name, or of the file behind it.</summary>
    [Parameter(Mandatory = true, ParameterSetName = "Path", ValueFromPipelineByPropertyName = true)]
    [Alias("FullName")]
    [ArgumentCompleter(typeof(DevicePathCompleter))]
    [SupportsWildcards]
    public string[] Path { get; set; } = [];

    /// <summary>Emits the devices.</summary>
    [Parameter]
    public SwitchParameter PassThru { get; set; }

    /// <summary>What is done, for a prompt and for -WhatIf.</summary>
    protected abstract string Action { get; }

    /// <inheritdoc/>
    protected override void ProcessRecord()
    {
        foreach (int id in Named())
        {
            if (ShouldProcess($"/dev/ublkb{id}", Action) && ShouldApply(id))
            {
                RequireDriver();
                Attempt(id, () => WithProgress($"{Action} {id}", step => Apply(id, step)));
            }
        }
    }

    /// <summary>Whether to go on after the common questions.</summary>
    protected virtual bool ShouldApply(int id) => true;

    /// <summary>Does it to one device.</summary>
    /// <param name="id">The device.</param>
    /// <param name="step">Told each step in a sentence.</param>
    protected abstract void Apply(int id, Action<string> step);

    /// <summary>Gives a device that nobody serves a new worker.</summary>
    /// <param name="id">The device.</param>
    /// <param name="step">Told each step in a sentence.</param>
    /// <param name="from">The states it may be in.</param>
    protected void Serve(int id, Action<string> step, params DeviceState[] from) =>
        WriteWarnings(DeviceLauncher.Restore(id, from, WorkerDirectory, step, StopToken));

    private IEnumerable<int> Named() => ParameterSetName switch
    {
        "Id" => Id,
        "InputObject" => InputObject.Select(device => device.Id),
        _ => FindByPath(),
    };

    private HashSet<int> FindByPath()
    {
        HashSet<int> ids = [];
        foreach (string path in Path)
        {
            Attempt(path, () => ids.UnionWith(DevicePaths.Find(SessionState, path).Select(device => device.Id)));
        }

        return ids;
    }

    /// <summary>Emits a device as it is now, if the user wants to see it.</summary>
    protected void WriteDevice(int id)
    {
        if (PassThru && DeviceInventory.Find(id) is { } device)
        {
            WriteObject(device);
        }
    }
}

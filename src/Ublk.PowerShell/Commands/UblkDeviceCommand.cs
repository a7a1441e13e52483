using System.Management.Automation;
using System.Management.Automation.Host;
using Ublk.Devices;
using Ublk.Launching;

namespace Ublk.PowerShell.Commands;

/// <summary>What the cmdlets have in common that change devices which are there: how the user names them.</summary>
public abstract class UblkDeviceCommand : UblkCommand
{
    private bool _yesToAll;
    private bool _noToAll;

    /// <summary>Devices by id.</summary>
    [Parameter(Mandatory = true, Position = 0, ParameterSetName = "Id",
        ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [ArgumentCompleter(typeof(DeviceIdCompleter))]
    public int[] Id { get; set; } = [];

    /// <summary>Devices as Get-UblkDevice and New-UblkDevice give them.</summary>
    [Parameter(Mandatory = true, ParameterSetName = "InputObject", ValueFromPipeline = true)]
    public UblkDevice[] InputObject { get; set; } = [];

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

    /// <summary>Emits the devices.</summary>
    [Parameter]
    public SwitchParameter PassThru { get; set; }

    /// <summary>What is done, for a prompt and for -WhatIf.</summary>
    protected abstract string Action { get; }

    /// <inheritdoc/>
    protected override void ProcessRecord()
    {
        foreach ((int id, ulong? cookie) in Named())
        {
            if (ShouldProcess($"/dev/ublkb{id}", Action))
            {
                RequireDriver();
                Attempt(id, () =>
                {
                    DeviceIdentity.RequireSame(id, cookie);
                    WithProgress($"{Action}: /dev/ublkb{id}", step => Apply(id, step));
                });
            }
        }
    }

    /// <summary>Does it to one device.</summary>
    /// <param name="id">The device.</param>
    /// <param name="step">Called with a sentence for each step.</param>
    protected abstract void Apply(int id, Action<string> step);

    /// <summary>Starts a new worker for a device that has none.</summary>
    /// <param name="id">The device.</param>
    /// <param name="step">Called with a sentence for each step.</param>
    /// <param name="acceptFiles">Whether to accept files behind the disk that do not look like those it had.</param>
    /// <param name="from">The states that the device may be in.</param>
    protected void Serve(int id, Action<string> step, bool acceptFiles, params DeviceState[] from) =>
        WriteWarnings(DeviceLauncher.Restart(id, from, acceptFiles, WorkerDirectory, step, StopToken));

    /// <summary>Asks the user.</summary>
    /// <param name="question">The question.</param>
    /// <param name="refusal">The error where no user can answer.</param>
    /// <returns>Whether the answer is yes.</returns>
    private protected bool Asks(string question, Func<UblkException> refusal)
    {
        try
        {
            return ShouldContinue(question, Action, ref _yesToAll, ref _noToAll);
        }
        catch (Exception exception) when (exception is HostException or PSInvalidOperationException)
        {
            throw refusal();
        }
    }

    // With the cookie of the device that was meant, where it is known: the id may be another's by now.
    private IEnumerable<(int Id, ulong? Cookie)> Named() => ParameterSetName switch
    {
        "Id" => Id.Select(id => (id, (ulong?)null)),
        "InputObject" => InputObject.Select(device => (device.Id, device.Cookie)),
        _ => FindByPath(),
    };

    private HashSet<(int Id, ulong? Cookie)> FindByPath()
    {
        HashSet<(int Id, ulong? Cookie)> found = [];
        foreach (string path in ParameterSetName == "LiteralPath" ? LiteralPath : Path)
        {
            Attempt(path, () => found.UnionWith(
                DevicePaths.Find(SessionState, path, ParameterSetName == "LiteralPath").Select(device => (device.Id, device.Cookie))));
        }

        return found;
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

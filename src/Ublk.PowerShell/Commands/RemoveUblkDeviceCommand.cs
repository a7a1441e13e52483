using System.Management.Automation;
using Ublk.Devices;

namespace Ublk.PowerShell.Commands;

/// <summary>Removes devices, whoever serves them and whether anybody does.</summary>
[Cmdlet(VerbsCommon.Remove, "UblkDevice", DefaultParameterSetName = "Id", SupportsShouldProcess = true)]
[OutputType(typeof(UblkDevice))]
public sealed class RemoveUblkDeviceCommand : UblkCommand
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

    /// <summary>Removes devices that are mounted, held or open.</summary>
    [Parameter]
    public SwitchParameter Force { get; set; }

    /// <summary>Returns while the worker still ends.</summary>
    [Parameter]
    public SwitchParameter NoWait { get; set; }

    /// <summary>Emits the devices that were removed.</summary>
    [Parameter]
    public SwitchParameter PassThru { get; set; }

    /// <inheritdoc/>
    protected override void ProcessRecord()
    {
        foreach (int id in ParameterSetName == "Id" ? Id : InputObject.Select(device => device.Id))
        {
            if (ShouldProcess($"/dev/ublkb{id}", "Remove ublk device") && ShouldForce(id))
            {
                RequireDriver();
                Attempt(id, () => Remove(id));
            }
        }
    }

    // To take a disk from its users is what a prompt is for by default, as with a ConfirmImpact of High; a plain removal,
    // which refuses that, is not. The attribute cannot tell them apart.
    private bool ShouldForce(int id) =>
        !Force
        || MyInvocation.BoundParameters.ContainsKey("Confirm")
        || !string.Equals(GetVariableValue("ConfirmPreference")?.ToString(), nameof(ConfirmImpact.High), StringComparison.OrdinalIgnoreCase)
        || ShouldContinue(
            $"Remove /dev/ublkb{id} although it may be in use? Its users lose what they have not written yet.",
            "Remove ublk device by force", ref _yesToAll, ref _noToAll);

    private void Remove(int id)
    {
        UblkDevice? device = PassThru ? DeviceInventory.Find(id) : null;
        WithProgress($"Removing ublk device {id}", step => DeviceRemover.Remove(id, Force, NoWait, step, StopToken));
        if (device is not null)
        {
            WriteObject(device);
        }
    }
}

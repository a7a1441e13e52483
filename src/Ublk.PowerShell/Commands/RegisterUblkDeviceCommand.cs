using System.Management.Automation;
using Ublk.Registration;
using Ublk.Specification;

namespace Ublk.PowerShell.Commands;

/// <summary>Registers devices, which systemd then creates at boot.</summary>
[Cmdlet(VerbsLifecycle.Register, "UblkDevice", SupportsShouldProcess = true)]
[OutputType(typeof(UblkRegistration))]
public sealed class RegisterUblkDeviceCommand : UblkSpecificationCommand
{
    /// <summary>The registration's name, and the device's in /dev/disk/by-ublk.</summary>
    [Parameter(Mandatory = true, ValueFromPipelineByPropertyName = true)]
    public string Name { get; set; } = "";

    /// <summary>The file behind the disk, taken as it is.</summary>
    [Parameter(Position = 0, ValueFromPipelineByPropertyName = true)]
    [Alias("PSPath", "FullName")]
    [ArgumentCompleter(typeof(ImagePathCompleter))]
    public string? Path { get; set; }

    /// <summary>Starts the unit now, which creates the device.</summary>
    [Parameter]
    public SwitchParameter Start { get; set; }

    /// <inheritdoc/>
    private protected override string? FirstFile => Path;

    // It outlives versions of the worker, and the unit has a supervisor in any case.
    /// <inheritdoc/>
    private protected override bool RestartsByDefault => true;

    /// <inheritdoc/>
    protected override void ProcessRecord() => Attempt(Name, () =>
    {
        DeviceSpecification specification =
            Specify(Path is null ? null : FilePaths.ResolveExisting(SessionState, Path), name: null, unprivileged: false);
        if (ShouldProcess(Name, "Register ublk device"))
        {
            WithProgress($"Register ublk device {Name}", step =>
            {
                step($"Writing and enabling the unit of {Name}.");
                UblkRegistration registration = DeviceRegistrar.Register(Name, specification, WorkerDirectory);
                if (Start)
                {
                    step($"Starting {registration.Unit}.");
                    DeviceRegistrar.Start(registration);
                }

                WriteObject(registration);
            });
        }
    });
}

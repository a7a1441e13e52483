using System.Management.Automation;
using Ublk.Devices;
using Ublk.Launching;
using Ublk.Specification;

namespace Ublk.PowerShell.Commands;

/// <summary>Makes devices: one, or one for each file.</summary>
[Cmdlet(VerbsCommon.New, "UblkDevice", DefaultParameterSetName = "Path", SupportsShouldProcess = true)]
[OutputType(typeof(UblkDevice))]
public sealed class NewUblkDeviceCommand : UblkSpecificationCommand
{
    /// <summary>The files behind the disks; wildcards are expanded.</summary>
    [Parameter(Position = 0, ParameterSetName = "Path", ValueFromPipeline = true)]
    [ArgumentCompleter(typeof(ImagePatternCompleter))]
    [SupportsWildcards]
    public string[]? Path { get; set; }

    /// <summary>The files behind the disks, taken as they are. The path of an object in the pipeline comes here.</summary>
    [Parameter(Mandatory = true, ParameterSetName = "LiteralPath", ValueFromPipelineByPropertyName = true)]
    [Alias("PSPath", "FullName")]
    [ArgumentCompleter(typeof(ImagePathCompleter))]
    public string[]? LiteralPath { get; set; }

    /// <summary>The name of the device, and of a link to it in /dev/disk/by-ublk.</summary>
    [Parameter]
    [NoScriptBlock]
    public string? Name { get; set; }

    /// <summary>Makes the device yours, as an ordinary user. The default unless you are root.</summary>
    [Parameter]
    public SwitchParameter Unprivileged { get; set; }

    /// <inheritdoc/>
    private protected override string? FirstFile => (Path ?? LiteralPath)?.FirstOrDefault();

    /// <inheritdoc/>
    protected override void ProcessRecord()
    {
        if (Path is null && LiteralPath is null)
        {
            Create(null);
        }

        foreach (string path in Path ?? [])
        {
            Attempt(path, () =>
            {
                foreach (string file in FilePaths.Expand(SessionState, path))
                {
                    Create(file);
                }
            });
        }

        foreach (string path in LiteralPath ?? [])
        {
            Attempt(path, () => Create(FilePaths.ResolveExisting(SessionState, path)));
        }
    }

    private void Create(string? file)
    {
        object item = file ?? (object?)Id ?? Target ?? "";
        DeviceSpecification specification = null!;
        bool unprivileged = MyInvocation.BoundParameters.ContainsKey(nameof(Unprivileged))
            ? Unprivileged
            : !Environment.IsPrivilegedProcess;
        Require(item, () => specification = Specify(file, Name, unprivileged));
        if (!ShouldProcess(file is null ? specification.Target : $"{specification.Target}, {file}", "Create ublk device"))
        {
            return;
        }

        RequireDriver();
        Attempt(item, () => WithProgress($"Creating a ublk device: {item}", step =>
        {
            LaunchResult result = DeviceLauncher.Start(specification, WorkerDirectory, step, StopToken);
            WriteWarnings(result);
            WriteObject(result.Device);
        }));
    }
}

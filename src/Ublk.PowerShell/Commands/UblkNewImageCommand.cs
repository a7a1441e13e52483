using System.Management.Automation;
using Ublk.Files;
using Ublk.Images;

namespace Ublk.PowerShell.Commands;

/// <summary>What the cmdlets have in common that make an image: what it is to be like.</summary>
public abstract class UblkNewImageCommand : UblkImageCommand
{
    /// <summary>The new image's format. By default it follows from the extension of the file's name.</summary>
    [Parameter]
    public ImageFormat? Format { get; set; }

    /// <summary>The version of qcow2, 2 or 3.</summary>
    [Parameter]
    [ArgumentCompleter(typeof(ImageOptionCompleter))]
    public int Version { get; set; } = 3;

    /// <summary>Bytes of a cluster.</summary>
    [Parameter]
    [ArgumentCompleter(typeof(ImageOptionCompleter))]
    public int? ClusterSize { get; set; }

    /// <summary>Bits of a reference count.</summary>
    [Parameter]
    [ArgumentCompleter(typeof(ImageOptionCompleter))]
    public int? RefcountBits { get; set; }

    /// <summary>How clusters are compressed.</summary>
    [Parameter]
    public ImageCompression CompressionType { get; set; }

    /// <summary>Lets parts of clusters be allocated.</summary>
    [Parameter]
    public SwitchParameter ExtendedL2 { get; set; }

    /// <summary>Lets reference counts be written late.</summary>
    [Parameter]
    public SwitchParameter LazyRefcounts { get; set; }

    /// <summary>The file that is to have the data.</summary>
    [Parameter]
    [NoScriptBlock]
    public string? DataFile { get; set; }

    /// <summary>Makes the data file a raw image of the disk, too.</summary>
    [Parameter]
    public SwitchParameter DataFileRaw { get; set; }

    /// <summary>Replaces a file that is there.</summary>
    [Parameter]
    public SwitchParameter Force { get; set; }

    /// <summary>The options of a new image as the parameters give them.</summary>
    protected NewImageOptions Options(ImageFormat format) => new()
    {
        Format = format,
        Version = Version,
        ClusterSize = ClusterSize,
        RefcountBits = RefcountBits,
        CompressionType = CompressionType,
        ExtendedL2 = MyInvocation.BoundParameters.ContainsKey(nameof(ExtendedL2)) ? ExtendedL2.IsPresent : null,
        LazyRefcounts = LazyRefcounts,

        // Programs differ in what they take a relative name to be relative to.
        DataFile = DataFile is null ? null : FilePaths.Resolve(SessionState, DataFile),
        DataFileRaw = DataFileRaw,
    };
}

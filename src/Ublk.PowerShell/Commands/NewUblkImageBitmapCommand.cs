using System.Management.Automation;
using Ublk.Images;

namespace Ublk.PowerShell.Commands;

/// <summary>Adds persistent bitmaps to images.</summary>
[Cmdlet(VerbsCommon.New, "UblkImageBitmap", DefaultParameterSetName = "Path", SupportsShouldProcess = true)]
[OutputType(typeof(UblkImageBitmap))]
public sealed class NewUblkImageBitmapCommand : UblkImagePathCommand
{
    /// <summary>The bitmap's name.</summary>
    [Parameter(Mandatory = true, Position = 1)]
    [NoScriptBlock]
    public string Name { get; set; } = "";

    /// <summary>Bytes of the disk that one bit stands for.</summary>
    [Parameter]
    public long Granularity { get; set; } = CreateBitmap.DefaultGranularity;

    /// <inheritdoc/>
    protected override void Process(string image)
    {
        if (ShouldProcess(image, $"Add bitmap '{Name}'"))
        {
            Run(new CreateBitmap { Path = image, Name = Name, Granularity = Granularity }, $"Adding a bitmap to {image}");
            WriteObject(ImageInspector.Bitmaps(image)[^1]);
        }
    }
}

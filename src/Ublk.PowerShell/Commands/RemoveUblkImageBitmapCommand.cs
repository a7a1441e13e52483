using System.Management.Automation;
using Ublk.Images;

namespace Ublk.PowerShell.Commands;

/// <summary>Removes persistent bitmaps from images.</summary>
[Cmdlet(VerbsCommon.Remove, "UblkImageBitmap", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.High)]
public sealed class RemoveUblkImageBitmapCommand : UblkImageBitmapCommand
{
    /// <inheritdoc/>
    protected override void Process(string image)
    {
        if (ShouldProcess(image, $"Remove bitmap '{Bitmap}'"))
        {
            Run(new RemoveBitmap { Path = image, Bitmap = Bitmap }, $"Removing a bitmap of {image}");
        }
    }
}

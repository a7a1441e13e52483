using System.Management.Automation;
using Ublk.Images;

namespace Ublk.PowerShell.Commands;

/// <summary>Begins persistent bitmaps of images anew.</summary>
[Cmdlet(VerbsCommon.Clear, "UblkImageBitmap", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.High)]
public sealed class ClearUblkImageBitmapCommand : UblkImageBitmapCommand
{
    /// <inheritdoc/>
    protected override void Process(string image)
    {
        if (ShouldProcess(image, $"Clear bitmap '{Bitmap}'"))
        {
            Run(new ClearBitmap { Path = image, Bitmap = Bitmap }, $"Clearing a bitmap of {image}");
        }
    }
}

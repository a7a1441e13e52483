using Ublk.Catalog;
using Ublk.Files;

namespace Ublk.PowerShell;

/// <summary>The format of a new image where the user names none.</summary>
internal static class FormatOfName
{
    /// <summary>The format that a file name stands for: qcow2 for <c>.qcow2</c> and <c>.qcow</c>, else raw.</summary>
    public static ImageFormat Of(string path) =>
        TargetCatalog.ForFile(path) == nameof(ImageFormat.Qcow2) ? ImageFormat.Qcow2 : ImageFormat.Raw;
}

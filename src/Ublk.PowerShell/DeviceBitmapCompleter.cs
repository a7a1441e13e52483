using System.Collections;
using System.Globalization;
using System.Management.Automation;
using System.Management.Automation.Language;
using Ublk.Catalog;
using Ublk.Devices;
using Ublk.Images;

namespace Ublk.PowerShell;

/// <summary>Completes the names of the persistent bitmaps of devices: of those that the command line names by id, or of all.</summary>
public sealed class DeviceBitmapCompleter : IArgumentCompleter
{
    /// <inheritdoc/>
    public IEnumerable<CompletionResult> CompleteArgument(
        string commandName, string parameterName, string wordToComplete, CommandAst commandAst, IDictionary fakeBoundParameters)
    {
        string start = CompletionText.Unquote(wordToComplete);
        string[]? ids = fakeBoundParameters["Id"] switch
        {
            null => null,
            object[] many => [.. many.Select(id => $"{id}")],
            var one => [$"{one}"],
        };
        return
            from device in DeviceInventory.List()
            where ids?.Contains(device.Id.ToString(CultureInfo.InvariantCulture)) != false
            where device.Target is { } target && TargetCatalog.Find(target) is { IsImage: true }
            from bitmap in Read(device.BackingPath)
            where bitmap.Name.StartsWith(start, StringComparison.Ordinal)
            group device.DevicePath by bitmap.Name into devices
            select new CompletionResult(
                CompletionText.Quote(devices.Key), devices.Key, CompletionResultType.ParameterValue, string.Join(' ', devices));
    }

    private static IReadOnlyList<UblkImageBitmap> Read(string? image)
    {
        try
        {
            return image is null ? [] : ImageInspector.Bitmaps(image);
        }
        catch (UblkException)
        {
            return [];
        }
    }
}

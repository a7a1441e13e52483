using System.CommandLine;
using System.CommandLine.Completions;
using Ublk.Devices;

namespace Ublk.CommandLine;

/// <summary>The option that names a device, and finding it.</summary>
internal static class DeviceOption
{
    /// <summary>The option <c>-n</c>.</summary>
    public static Option<int?> Create(string description, bool required = false)
    {
        Option<int?> option = NumberOption.Create("DEV_ID", description, "--number", "-n");
        option.Required = required;
        option.CompletionSources.Add(_ => DeviceInventory.List().Select(device => new CompletionItem($"{device.Id}")));
        return option;
    }

    /// <summary>The device of an id.</summary>
    /// <exception cref="UblkException">The device does not exist, or the driver is not loaded.</exception>
    public static UblkDevice Find(int id)
    {
        DeviceInventory.RequireDriver();
        return DeviceInventory.Get(id);
    }
}

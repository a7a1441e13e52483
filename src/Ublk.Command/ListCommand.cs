using System.CommandLine;
using Ublk.Devices;

namespace Ublk.CommandLine;

/// <summary><c>ublk list</c>: shows devices, of any server.</summary>
internal static class ListCommand
{
    /// <summary>The command.</summary>
    public static Command Create()
    {
        Option<int?> number = DeviceOption.Create("The device to show; all by default.");
        Option<bool> verbose = new("--verbose", "-v") { Description = "Print each device as JSON." };
        Option<bool> json = new("--json") { Description = "Print one JSON array of the devices." };
        Command command = new("list", "Shows devices.") { number, verbose, json };
        command.SetAction(result =>
        {
            TextWriter output = result.InvocationConfiguration.Output;
            IReadOnlyList<UblkDevice> devices = result.GetValue(number) is { } id ? [DeviceOption.Find(id)] : All();
            if (result.GetValue(json))
            {
                DeviceJson.WriteAll(output, devices);
            }
            else
            {
                foreach (UblkDevice device in devices)
                {
                    (result.GetValue(verbose) ? (Action<TextWriter, UblkDevice>)DeviceJson.Write : DeviceText.Write)(output, device);
                }
            }

            return ExitCode.Done;
        });
        return command;
    }

    private static IReadOnlyList<UblkDevice> All()
    {
        DeviceInventory.RequireDriver();
        return DeviceInventory.List();
    }
}

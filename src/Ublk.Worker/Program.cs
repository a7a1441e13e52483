using System.Globalization;
using System.Net.Sockets;
using Ublk;
using Ublk.Worker;
using Ublk.Worker.Plugins;

// Started by the engine's launcher, not by people: the arguments after the verb are what ps shows of the device.
try
{
    switch (args)
    {
        case ["supervise", "--id", string id, .. string[] rest]:
            using (DeviceSupervisor supervisor = new(int.Parse(id, CultureInfo.InvariantCulture)))
            {
                return supervisor.Run(["--id", id, .. rest]);
            }

        case ["attach", string file]:
            return DeviceAttachment.Run(file);
        case ["serve", .., "--launcher", string channel]:
            return DeviceWorker.Serve(channel);
        case ["remove", string id]:
            DeviceWorker.Remove(int.Parse(id, CultureInfo.InvariantCulture));
            return 0;
        case ["guard", string id, string server]:
            return DeviceGuardian.Run(int.Parse(id, CultureInfo.InvariantCulture), int.Parse(server, CultureInfo.InvariantCulture));
        case ["targets", string assembly]:
            return TargetListing.Print(assembly);
        case ["owner", string node]:
            return NodeOwner.Print(node);
        case ["image"]:
            return ImageWorker.Run();
        default:
            Console.Error.WriteLine("ublk-worker serves a device for New-UblkDevice and is not started by hand.");
            return ExitCode.Usage;
    }
}
catch (Exception exception) when (exception is UblkException or IOException or SocketException)
{
    Console.Error.WriteLine(exception.Message);
    return ExitCode.Unavailable;
}

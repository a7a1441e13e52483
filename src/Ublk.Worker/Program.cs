using System.Globalization;
using System.Net.Sockets;
using Ublk;
using Ublk.Worker;
using Ublk.Worker.Plugins;
using Ublk.Workers;

// Started by the engine's launcher, not by people: the arguments after the verb are what ps shows of the device.
try
{
    switch (args)
    {
        case [WorkerArguments.Supervise, WorkerArguments.Id, string id, .. string[] rest]:
            using (DeviceSupervisor supervisor = new(int.Parse(id, CultureInfo.InvariantCulture)))
            {
                return supervisor.Run([WorkerArguments.Id, id, .. rest]);
            }

        case [WorkerArguments.Attach, string file]:
            return DeviceAttachment.Run(file);
        case [WorkerArguments.Serve, .., WorkerArguments.Launcher, string channel]:
            return DeviceWorker.Serve(channel);
        case [WorkerArguments.Remove, string id]:
            DeviceWorker.Remove(int.Parse(id, CultureInfo.InvariantCulture));
            return 0;
        case [WorkerArguments.AdoptSize, string id]:
            DiskSize.Adopt(int.Parse(id, CultureInfo.InvariantCulture));
            return 0;
        case [WorkerArguments.ResizeStorage, string id, string size]:
            DiskSize.ResizeStorage(int.Parse(id, CultureInfo.InvariantCulture), long.Parse(size, CultureInfo.InvariantCulture));
            return 0;
        case [WorkerArguments.Guard, string id, string server]:
            return DeviceGuard.Run(int.Parse(id, CultureInfo.InvariantCulture), int.Parse(server, CultureInfo.InvariantCulture));
        case [WorkerArguments.Targets, string assembly]:
            return TargetListing.Print(assembly);
        case [WorkerArguments.Owner, string node]:
            return NodeOwner.Print(node);
        case [WorkerArguments.Companion, string parent, string program, .. string[] rest]:
            return CompanionProgram.Become(int.Parse(parent, CultureInfo.InvariantCulture), program, rest);
        case [WorkerArguments.Export, string name]:
            return ExportWorker.Run(name);
        case [WorkerArguments.Image]:
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

using System.CommandLine;
using Ublk.Control;
using Ublk.Devices;
using Ublk.Lifecycle;

namespace Ublk.CommandLine;

/// <summary><c>ublk set_affinity</c>: moves the threads of one queue.</summary>
internal static class AffinityCommand
{
    /// <summary>The command.</summary>
    public static Command Create()
    {
        Option<int?> number = DeviceOption.Create("The device.", required: true);
        Option<int?> queue = NumberOption.Create("QID", "The queue, from 0.", "--queue", "-q");
        queue.Required = true;
        Option<string> set = new("--cpuset") { Description = "The CPUs, such as [1,2] or 0-3.", HelpName = "SET", Required = true };
        Command command = new("set_affinity", "Changes the CPUs of a queue.") { number, queue, set };
        command.SetAction(result =>
        {
            using Interruption interruption = new();
            UblkDevice device = DeviceOption.Find(result.GetRequiredValue(number)!.Value);
            string[] lists = With(device, result.GetRequiredValue(queue)!.Value, result.GetRequiredValue(set));
            DeviceAffinity.Set(device.Id, lists, interruption.Token);
            return ExitCode.Done;
        });
        return command;
    }

    /// <summary>The CPU lists of a device's queues, with another one for one of them.</summary>
    /// <exception cref="UblkException">It has no such queue.</exception>
    internal static string[] With(UblkDevice device, int queue, string set)
    {
        string[] lists =
        [
            .. device.Queues.GroupBy(thread => thread.Id).OrderBy(threads => threads.Key)
                .Select(threads => $"{CpuSet.Parse(string.Join(',', threads.Select(thread => thread.Affinity)))}"),
        ];
        if (queue < 0 || queue >= lists.Length)
        {
            throw new UblkException(UblkError.InvalidArgument, $"Device {device.Id} has no queue {queue}: it has {lists.Length}.",
                deviceId: device.Id);
        }

        lists[queue] = set.Trim().TrimStart('[').TrimEnd(']');
        return lists;
    }
}

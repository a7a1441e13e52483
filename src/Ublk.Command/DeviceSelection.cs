using System.CommandLine;
using Ublk.Devices;

namespace Ublk.CommandLine;

/// <summary>The devices that a verb changes: one by <c>-n</c>, or all by <c>-a</c>.</summary>
internal sealed class DeviceSelection
{
    private readonly Option<int?> _number;
    private readonly Option<bool> _all;

    /// <summary>Adds the options to a command.</summary>
    public DeviceSelection(Command command, string all)
    {
        _number = DeviceOption.Create("The device.");
        _all = new Option<bool>("--all", "-a") { Description = all };
        command.Options.Add(_number);
        command.Options.Add(_all);
        command.Validators.Add(result =>
        {
            if (result.GetResult(_number) is null == result.GetResult(_all) is null)
            {
                result.AddError("give either -n DEV_ID or -a");
            }
        });
    }

    /// <summary>Does something to each device, also where it fails with one.</summary>
    /// <param name="result">The command line.</param>
    /// <param name="isMeant">Which devices <c>-a</c> means.</param>
    /// <param name="action">What to do with a device of this id.</param>
    /// <returns>The exit code.</returns>
    public int ForEach(ParseResult result, Func<UblkDevice, bool> isMeant, Action<int> action)
    {
        DeviceInventory.RequireDriver();
        int[] ids = result.GetValue(_number) is { } id ? [id] : [.. DeviceInventory.List().Where(isMeant).Select(device => device.Id)];
        int code = ExitCode.Done;
        foreach (int each in ids)
        {
            try
            {
                action(each);
            }
            catch (UblkException exception)
            {
                result.InvocationConfiguration.Error.WriteLine($"ublk: {ErrorText.Of(exception)}");
                code = ExitCode.Of(exception);
            }
        }

        return code;
    }
}

using Ublk.Interop;

namespace Ublk.Control;

/// <summary>A trace of control commands and their results, for a listener on the thread that sends them.</summary>
internal static class ControlTrace
{
    /// <summary>Called with a line for each command; null for no trace.</summary>
    [field: ThreadStatic]
    public static Action<string>? Listener { get; set; }

    /// <summary>Traces a command.</summary>
    /// <param name="command">Its number, encoded or bare.</param>
    /// <param name="id">The device, or <see cref="UblkAbi.AnyDeviceId"/>.</param>
    /// <param name="result">0 or more, or a negative errno.</param>
    public static void Tell(uint command, uint id, int result) =>
        Listener?.Invoke(
            $"{NameOf(command)}{(id == UblkAbi.AnyDeviceId ? "" : $" {id}")}: {(result < 0 ? Libc.Describe(-result) : result)}");

    private static string NameOf(uint command) => (command & UblkAbi.CommandNumberMask) switch
    {
        UblkAbi.CmdGetQueueAffinity & UblkAbi.CommandNumberMask => "GET_QUEUE_AFFINITY",
        UblkAbi.CmdGetDevInfo & UblkAbi.CommandNumberMask => "GET_DEV_INFO",
        UblkAbi.CmdAddDev & UblkAbi.CommandNumberMask => "ADD_DEV",
        UblkAbi.CmdDelDev & UblkAbi.CommandNumberMask => "DEL_DEV",
        UblkAbi.CmdStartDev & UblkAbi.CommandNumberMask => "START_DEV",
        UblkAbi.CmdStopDev & UblkAbi.CommandNumberMask => "STOP_DEV",
        UblkAbi.CmdSetParams & UblkAbi.CommandNumberMask => "SET_PARAMS",
        UblkAbi.CmdGetParams & UblkAbi.CommandNumberMask => "GET_PARAMS",
        UblkAbi.CmdStartUserRecovery & UblkAbi.CommandNumberMask => "START_USER_RECOVERY",
        UblkAbi.CmdEndUserRecovery & UblkAbi.CommandNumberMask => "END_USER_RECOVERY",
        UblkAbi.CmdGetFeatures & UblkAbi.CommandNumberMask => "GET_FEATURES",
        UblkAbi.CmdDelDevAsync & UblkAbi.CommandNumberMask => "DEL_DEV_ASYNC",
        UblkAbi.CmdUpdateSize & UblkAbi.CommandNumberMask => "UPDATE_SIZE",
        UblkAbi.CmdQuiesceDev & UblkAbi.CommandNumberMask => "QUIESCE_DEV",
        UblkAbi.CmdTryStopDev & UblkAbi.CommandNumberMask => "TRY_STOP_DEV",
        uint other => $"command 0x{other:x}",
    };
}

namespace Ublk.CommandLine;

/// <summary>What scripts see of a command's end.</summary>
internal static class ExitCode
{
    /// <summary>Done.</summary>
    public const int Done = 0;

    /// <summary>It could not be done.</summary>
    public const int Failed = 1;

    /// <summary>The command line makes no sense.</summary>
    public const int Usage = 2;

    /// <summary>Interrupted by a signal, as shells count it.</summary>
    public const int Interrupted = 130;

    /// <summary>The exit code for an error of the engine.</summary>
    public static int Of(UblkException exception) => exception.Error
        is UblkError.InvalidArgument or UblkError.UnknownTarget or UblkError.UnsupportedOption ? Usage : Failed;
}

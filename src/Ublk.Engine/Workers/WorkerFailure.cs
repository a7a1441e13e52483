namespace Ublk.Workers;

/// <summary>A <see cref="UblkException"/> on its way from the worker to the launcher.</summary>
internal sealed record WorkerFailure(UblkError Error, string Message, int Errno, string Operation, int? DeviceId)
{
    /// <summary>The failure as an exception again.</summary>
    public UblkException ToException() => new(Error, Message, Errno, Operation, DeviceId);

    /// <summary>An exception as a failure.</summary>
    public static WorkerFailure From(Exception exception) => exception is UblkException known
        ? new WorkerFailure(known.Error, known.Message, known.Errno, known.Operation, known.DeviceId)
        : new WorkerFailure(UblkError.OperationFailed, exception.Message, 0, exception.GetType().Name, null);
}

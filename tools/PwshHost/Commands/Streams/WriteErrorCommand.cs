using System.Management.Automation;

namespace PwshHost.Commands.Streams;

[Cmdlet(VerbsCommunications.Write, "Error", DefaultParameterSetName = "Message")]
public sealed class WriteErrorCommand : PSCmdlet
{
    [Parameter(Mandatory = true, Position = 0, ValueFromPipeline = true, ParameterSetName = "Message")]
    [Parameter(ParameterSetName = "Exception")]
    [AllowEmptyString]
    public string? Message { get; set; }

    [Parameter(Mandatory = true, ParameterSetName = "Exception")]
    public Exception? Exception { get; set; }

    [Parameter(Mandatory = true, Position = 0, ValueFromPipeline = true, ParameterSetName = "ErrorRecord")]
    public ErrorRecord? ErrorRecord { get; set; }

    [Parameter]
    public string ErrorId { get; set; } = "NotSpecified";

    [Parameter]
    public ErrorCategory Category { get; set; } = ErrorCategory.NotSpecified;

    [Parameter]
    public object? TargetObject { get; set; }

    [Parameter]
    public string? RecommendedAction { get; set; }

    protected override void ProcessRecord()
    {
        ErrorRecord record = ErrorRecord is null
            ? new ErrorRecord(Exception ?? new WriteErrorException(Message), ErrorId, Category, TargetObject)
            : new ErrorRecord(ErrorRecord, null);
        if (RecommendedAction is not null)
        {
            record.ErrorDetails = new ErrorDetails(Message ?? record.Exception.Message) { RecommendedAction = RecommendedAction };
        }

        record.CategoryInfo.Activity = "Write-Error";
        WriteError(record);
    }
}

/// <summary>The exception behind a plain Write-Error message.</summary>
public sealed class WriteErrorException : SystemException
{
    public WriteErrorException()
    {
    }

    public WriteErrorException(string? message)
        : base(message)
    {
    }

    public WriteErrorException(string? message, Exception? inner)
        : base(message, inner)
    {
    }
}

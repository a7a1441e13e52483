using System.Management.Automation;

namespace PwshHost.Pester;

/// <summary>Compares what comes down the pipeline with what is expected, and ends the test if they don't fit.</summary>
[Cmdlet(VerbsLifecycle.Assert, "PesterValue")]
[Alias("Should")]
public sealed class ShouldCommand : PSCmdlet
{
    private readonly List<object?> _values = [];

    [Parameter(ValueFromPipeline = true)]
    [AllowNull]
    public object? ActualValue { get; set; }

    [Parameter(Position = 0)]
    [Alias("ExpectedValue", "ExpectedMessage", "ExpectedType", "ExpectedContent", "RegularExpression", "ExpectedResult")]
    [AllowNull]
    public object? Expected { get; set; }

    [Parameter]
    public string? Because { get; set; }

    [Parameter]
    public SwitchParameter Not { get; set; }

    [Parameter(Mandatory = true, ParameterSetName = "Be")]
    [Alias("EQ")]
    public SwitchParameter Be { get; set; }

    [Parameter(Mandatory = true, ParameterSetName = "BeExactly")]
    public SwitchParameter BeExactly { get; set; }

    [Parameter(Mandatory = true, ParameterSetName = "BeTrue")]
    public SwitchParameter BeTrue { get; set; }

    [Parameter(Mandatory = true, ParameterSetName = "BeFalse")]
    public SwitchParameter BeFalse { get; set; }

    [Parameter(Mandatory = true, ParameterSetName = "BeNullOrEmpty")]
    public SwitchParameter BeNullOrEmpty { get; set; }

    [Parameter(Mandatory = true, ParameterSetName = "BeLike")]
    public SwitchParameter BeLike { get; set; }

    [Parameter(Mandatory = true, ParameterSetName = "Match")]
    public SwitchParameter Match { get; set; }

    [Parameter(Mandatory = true, ParameterSetName = "Contain")]
    public SwitchParameter Contain { get; set; }

    [Parameter(Mandatory = true, ParameterSetName = "BeIn")]
    public SwitchParameter BeIn { get; set; }

    [Parameter(Mandatory = true, ParameterSetName = "HaveCount")]
    public SwitchParameter HaveCount { get; set; }

    [Parameter(Mandatory = true, ParameterSetName = "BeGreaterThan")]
    [Alias("GT")]
    public SwitchParameter BeGreaterThan { get; set; }

    [Parameter(Mandatory = true, ParameterSetName = "BeGreaterOrEqual")]
    [Alias("GE")]
    public SwitchParameter BeGreaterOrEqual { get; set; }

    [Parameter(Mandatory = true, ParameterSetName = "BeLessThan")]
    [Alias("LT")]
    public SwitchParameter BeLessThan { get; set; }

    [Parameter(Mandatory = true, ParameterSetName = "BeLessOrEqual")]
    [Alias("LE")]
    public SwitchParameter BeLessOrEqual { get; set; }

    [Parameter(Mandatory = true, ParameterSetName = "BeOfType")]
    [Alias("HaveType")]
    public SwitchParameter BeOfType { get; set; }

    [Parameter(Mandatory = true, ParameterSetName = "Exist")]
    public SwitchParameter Exist { get; set; }

    [Parameter(Mandatory = true, ParameterSetName = "FileContentMatch")]
    public SwitchParameter FileContentMatch { get; set; }

    [Parameter(Mandatory = true, ParameterSetName = "Throw")]
    public SwitchParameter Throw { get; set; }

    [Parameter(ParameterSetName = "Throw")]
    public string? ErrorId { get; set; }

    [Parameter(ParameterSetName = "Throw")]
    public Type? ExceptionType { get; set; }

    [Parameter(ParameterSetName = "Throw")]
    public SwitchParameter PassThru { get; set; }

    protected override void ProcessRecord() => _values.Add(ActualValue);

    protected override void EndProcessing()
    {
        object? actual = _values.Count == 1 ? _values[0] : _values.ToArray();
        if (Throw)
        {
            AssertThrow(actual);
            return;
        }

        Outcome outcome = ParameterSetName switch
        {
            "HaveCount" => Assertions.HaveCount(_values, Expected),
            "BeNullOrEmpty" => Assertions.BeNullOrEmpty(_values),
            "Contain" => Assertions.Contain(_values, Expected),
            "Exist" => Assertions.Exist(actual, InvokeProvider),
            "FileContentMatch" => Assertions.FileContentMatch(GetUnresolvedProviderPathFromPSPath(actual?.ToString()), Expected),
            _ => Assertions.Compare(ParameterSetName, actual, Expected),
        };
        Judge(outcome);
    }

    private void AssertThrow(object? actual)
    {
        ErrorRecord? error = ThrowAssertion.Run(InvokeCommand, actual);
        Judge(ThrowAssertion.Judge(error, Expected as string, ErrorId, ExceptionType));
        if (PassThru)
        {
            WriteObject(error);
        }
    }

    private void Judge(Outcome outcome)
    {
        if (outcome.Holds != Not)
        {
            return;
        }

        string because = Because is null ? string.Empty : $" because {Because},";
        throw Verdict.Create($"Expected {outcome.Expectation(Not)},{because} but {outcome.But}.", Verdict.Failed);
    }
}

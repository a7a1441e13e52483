using System.Management.Automation;
using System.Text.RegularExpressions;
using Ublk.Interop;
using Ublk.PowerShell;

namespace Ublk.Tests.PowerShell;

/// <summary>docs/errors.md lists every error as it is, and some spec provokes each.</summary>
public partial class ErrorsTests
{
    private static readonly Dictionary<UblkError, string> s_documented =
        Line().Matches(File.ReadAllText(Path.Combine(Repository.Root, "docs", "errors.md")))
            .ToDictionary(match => Enum.Parse<UblkError>(match.Groups["id"].Value), match => match.Groups["category"].Value);

    public static TheoryData<UblkError> Errors => [.. Enum.GetValues<UblkError>()];

    [Theory]
    [MemberData(nameof(Errors))]
    public void Each_error_is_listed_with_its_category(UblkError error)
    {
        ErrorRecord record = UblkErrorRecord.From(new UblkException(error, "Something is wrong."), null);
        Assert.Equal(error.ToString(), record.FullyQualifiedErrorId);
        Assert.Equal(record.CategoryInfo.Category.ToString(), s_documented.GetValueOrDefault(error));
    }

    [Theory]
    [InlineData("Device 3 is stopped. Start it: Start-UblkDevice 3", "Start it: Start-UblkDevice 3")]
    [InlineData("a.img has 3.5 MB of v1. -Force replaces it.", "-Force replaces it.")]
    [InlineData("Something is wrong.", null)]
    public void The_remedy_is_the_recommended_action(string message, string? remedy)
    {
        ErrorRecord record = UblkErrorRecord.From(new UblkException(UblkError.OperationFailed, message), null);
        Assert.Equal(remedy, record.ErrorDetails?.RecommendedAction);
        Assert.Equal(message, record.ToString());
    }

    [Theory]
    [InlineData(Libc.EACCES)]
    [InlineData(Libc.ENOSPC)]
    [InlineData(Libc.EIO)]
    public void An_errno_has_a_remedy(int errno) =>
        Assert.NotNull(UblkErrorRecord.RemedyIn(UblkException.FromErrno(errno, "open", "Cannot open a.img").Message));

    [Theory]
    [MemberData(nameof(Errors))]
    public void Each_error_is_provoked_by_a_spec(UblkError error)
    {
        string[] specs = Directory.GetFiles(Path.Combine(Repository.Root, "tests"), "*.Tests.ps1", SearchOption.AllDirectories);
        Assert.Contains(specs, spec => Regex.IsMatch(File.ReadAllText(spec), $"""['" ]{error}[,'"*]"""));
    }

    // A heading, the category, and a message of such an error after the text.
    [GeneratedRegex(@"^## (?<id>\w+)\n\n(?<category>\w+)\. \S[^#]*?\n\n    \S", RegexOptions.Multiline)]
    private static partial Regex Line();
}

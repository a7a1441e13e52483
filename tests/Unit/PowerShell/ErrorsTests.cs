using System.Management.Automation;
using System.Text.RegularExpressions;
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
    [MemberData(nameof(Errors))]
    public void Each_error_is_provoked_by_a_spec(UblkError error)
    {
        string[] specs = Directory.GetFiles(Path.Combine(Repository.Root, "tests"), "*.Tests.ps1", SearchOption.AllDirectories);
        Assert.Contains(specs, spec => Regex.IsMatch(File.ReadAllText(spec), $"""['" ]{error}[,'"*]"""));
    }

    [GeneratedRegex(@"^- `(?<id>\w+)` \((?<category>\w+)\): \S", RegexOptions.Multiline)]
    private static partial Regex Line();
}

using Ublk.Catalog;

namespace Ublk.Tests.Catalog;

/// <summary>Targets are found by name and say which options they take.</summary>
public class TargetCatalogTests
{
    [Fact]
    public void Names_are_found_in_any_casing() => Assert.Equal("Loop", TargetCatalog.Find("lOOP").Name);

    [Fact]
    public void An_unknown_name_is_refused_with_those_there_are()
    {
        UblkException exception = Assert.Throws<UblkException>(() => TargetCatalog.Find("Lop"));
        Assert.Equal(UblkError.UnknownTarget, exception.Error);
        Assert.Contains("Null, Loop, Qcow2", exception.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("Null", "Size", "1024", null)]
    [InlineData("Null", "Size", "-1", UblkError.InvalidArgument)]
    [InlineData("Null", "Size", "1K", UblkError.InvalidArgument)]
    [InlineData("Null", "Path", "/x", UblkError.UnsupportedOption)]
    [InlineData("Loop", "Path", "/x", null)]
    [InlineData("Loop", "Path", "", UblkError.InvalidArgument)]
    [InlineData("Loop", "Size", "1024", UblkError.UnsupportedOption)]
    [InlineData("Loop", "Offset", "0", UblkError.InvalidArgument)]
    public void Options_are_checked(string target, string option, string value, UblkError? error)
    {
        Dictionary<string, string> options = new() { [option] = value };
        UblkException? exception = (UblkException?)Record.Exception(() => TargetCatalog.Find(target).CheckOptions(options));
        Assert.Equal(error, exception?.Error);
    }
}

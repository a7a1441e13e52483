using System.Runtime.CompilerServices;
using System.Text.RegularExpressions;

namespace Ublk.Tests;

/// <summary>What <c>dotnet new ublk-target</c> makes refers to this engine, and to what the project itself uses.</summary>
public class TemplateTests
{
    private static string Root([CallerFilePath] string path = "") => Path.GetFullPath(Path.Combine(Path.GetDirectoryName(path)!, "../.."));

    [Fact]
    public void The_template_refers_to_this_version_of_the_engine() => Assert.Equal(
        typeof(UblkException).Assembly.GetName().Version!.ToString(3),
        Version("templates/ublk-target/MyDisk/MyDisk.csproj", "Ublk.Engine"));

    [Fact]
    public void Its_tests_use_the_version_of_xunit_that_these_do() => Assert.Equal(
        Version("Directory.Packages.props", "xunit.v3"), Version("templates/ublk-target/MyDisk.Tests/MyDisk.Tests.csproj", "xunit.v3"));

    private static string Version(string file, string package) =>
        Regex.Match(File.ReadAllText(Path.Combine(Root(), file)),
            $"Include=\"{Regex.Escape(package)}\" Version=\"([^\"]+)\"").Groups[1].Value;
}

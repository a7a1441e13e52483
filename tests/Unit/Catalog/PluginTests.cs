using System.Diagnostics;
using Ublk.Catalog;
using Ublk.Files;
using Ublk.Io;
using Ublk.Targets;

namespace Ublk.Tests.Catalog;

/// <summary>A target of this very assembly, to be found in it.</summary>
public sealed class SampleTarget : BlockTarget
{
    /// <summary>What a worker finds.</summary>
    public static TargetDefinition Definition { get; } = new(
        "Sample", "A disk for tests.",
        [new TargetOption("Colour", TargetOptionKind.Choice, "Its colour.", IsMandatory: true) { Choices = ["Red", "Green"] }],
        _ => new SampleTarget());

    /// <inheritdoc/>
    public override TargetGeometry Geometry { get; } = new() { Size = 1 << 20 };

    /// <inheritdoc/>
    public override IoTask<int> HandleAsync(IoRequest request) => 0;
}

/// <summary>Assemblies are looked at by a worker; what cannot be used, or trusted, is one clear error.</summary>
public sealed class PluginTests : IDisposable
{
    private const UnixFileMode Mine = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;

    private readonly string _folder = Directory.CreateDirectory($"/var/tmp/ublk-test-{Guid.NewGuid():N}", Mine).FullName;

    // The module's folder of workers, as far as it is needed: a link to the one that was built for the dotnet host.
    private readonly string _workers;

    public PluginTests()
    {
        _workers = Directory.CreateDirectory($"{_folder}/worker").FullName;
        Directory.CreateSymbolicLink($"{_workers}/portable", BuiltWorker.Folder);
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void Targets_and_their_options_are_told_without_loading_anything_here()
    {
        UblkTarget target = PluginCatalog.Find(typeof(PluginTests).Assembly.Location, "sample", _workers);
        Assert.Equal(("Sample", "A disk for tests."), (target.Name, target.Summary));
        TargetOption option = Assert.Single(target.Options);
        Assert.Equal(("Colour", TargetOptionKind.Choice, true), (option.Name, option.Kind, option.IsMandatory));
        Assert.Equal(["Red", "Green"], option.Choices);
        Assert.Equal(UblkError.InvalidArgument,
            Assert.Throws<UblkException>(() => target.CheckOptions(new Dictionary<string, string>())).Error);
    }

    [Fact]
    public void A_target_that_an_assembly_lacks_is_named_with_those_it_has()
    {
        UblkException exception =
            Assert.Throws<UblkException>(() => PluginCatalog.Find(typeof(PluginTests).Assembly.Location, "Other", _workers));
        Assert.Equal(UblkError.UnknownTarget, exception.Error);
        Assert.Contains("Sample", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void What_is_no_assembly_is_refused()
    {
        string path = Write("text.dll", "not an assembly"u8.ToArray());
        UblkException exception = Assert.Throws<UblkException>(() => PluginCatalog.List(path, _workers));
        Assert.Equal(UblkError.PluginInvalid, exception.Error);
        Assert.Contains("not an assembly", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_assembly_without_targets_is_refused()
    {
        string path = Write("none.dll", File.ReadAllBytes(typeof(Assert).Assembly.Location));
        Assert.Equal(UblkError.PluginInvalid, Assert.Throws<UblkException>(() => PluginCatalog.List(path, _workers)).Error);
    }

    [Fact]
    public void An_assembly_that_is_not_there_is_an_error_of_its_path() =>
        Assert.Equal(UblkError.PathNotFound, Assert.Throws<UblkException>(() => PluginCatalog.List($"{_folder}/none.dll", _workers)).Error);

    [Theory]
    [InlineData(true, UnixFileMode.OtherWrite)]
    [InlineData(false, UnixFileMode.OtherWrite)]
    [InlineData(false, UnixFileMode.OtherWrite | UnixFileMode.StickyBit)]
    public void A_file_that_others_can_write_or_put_something_beside_is_not_trusted(bool isFile, UnixFileMode mode)
    {
        string path = Write("mine.dll", []);
        File.SetUnixFileMode(path, Mine);
        Assert.Equal(path, PathTrust.Check(path));
        string loose = isFile ? path : _folder;
        File.SetUnixFileMode(loose, Mine | mode);
        Assert.Equal(UblkError.PluginNotTrusted, Assert.Throws<UblkException>(() => PathTrust.Check(path)).Error);
        File.SetUnixFileMode(loose, Mine);
    }

    [Fact]
    public void A_folder_further_up_may_be_one_where_nobody_renames_what_is_anothers()
    {
        // /var/tmp is such a one; without its sticky bit it would not do.
        string shared = Directory.CreateDirectory($"{_folder}/shared").FullName;
        string own = Directory.CreateDirectory($"{shared}/own", Mine).FullName;
        string path = $"{own}/mine.dll";
        File.WriteAllBytes(path, []);
        File.SetUnixFileMode(path, Mine);
        File.SetUnixFileMode(shared, Mine | UnixFileMode.OtherWrite | UnixFileMode.StickyBit);
        Assert.Equal(path, PathTrust.Check(path));
        File.SetUnixFileMode(shared, Mine | UnixFileMode.OtherWrite);
        Assert.Equal(UblkError.PluginNotTrusted, Assert.Throws<UblkException>(() => PathTrust.Check(path)).Error);
    }

    [Fact]
    public void A_link_is_judged_by_where_it_leads()
    {
        string loose = Directory.CreateDirectory($"{_folder}/loose").FullName;
        File.WriteAllBytes($"{loose}/theirs.dll", []);
        File.SetUnixFileMode(loose, Mine | UnixFileMode.OtherWrite);
        File.CreateSymbolicLink($"{_folder}/link.dll", $"{loose}/theirs.dll");
        Assert.Equal(UblkError.PluginNotTrusted, Assert.Throws<UblkException>(() => PathTrust.Check($"{_folder}/link.dll")).Error);
    }

    [Fact]
    public void A_file_of_another_user_is_not_trusted()
    {
        Assert.SkipUnless(Environment.UserName == "root", "Only root gives files away.");
        string path = Write("theirs.dll", []);
        using (Process chown = Process.Start("chown", ["12345", path]))
        {
            chown.WaitForExit();
        }

        Assert.Equal(UblkError.PluginNotTrusted, Assert.Throws<UblkException>(() => PathTrust.Check(path)).Error);
    }

    private string Write(string name, byte[] content)
    {
        string path = $"{_folder}/{name}";
        File.WriteAllBytes(path, content);
        return path;
    }
}

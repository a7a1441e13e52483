using Ublk.Files;

namespace Ublk.Tests.Files;

/// <summary>A file that is not whole has no name, and nothing that lies beside it is touched.</summary>
public sealed class NewFileTests : IDisposable
{
    private const int Mode = 0b110_000_000;

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("ublk-test-");

    private string Target => $"{_folder}/file";

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public void A_file_has_its_name_only_once_it_is_given()
    {
        using (NewFile file = new(Target, Mode))
        {
            RandomAccess.Write(file.Handle, "new"u8, 0);
            Assert.False(File.Exists(Target));
            file.Name(replace: false);
            file.Flush();
            Assert.Equal("new", File.ReadAllText(Target));
        }

        Assert.Equal(["file"], _folder.GetFiles().Select(file => file.Name));
        Assert.Equal((UnixFileMode)Mode, File.GetUnixFileMode(Target));
    }

    [Fact]
    public void A_file_that_is_given_up_is_removed()
    {
        new NewFile(Target, Mode).Dispose();
        Assert.Empty(_folder.GetFiles());
    }

    [Fact]
    public void A_name_that_is_taken_is_replaced_only_on_request()
    {
        File.WriteAllText(Target, "old");
        using (NewFile file = new(Target, Mode))
        {
            Assert.Throws<IOException>(() => file.Name(replace: false));
            Assert.Equal("old", File.ReadAllText(Target));
            file.Name(replace: true);
        }

        Assert.Equal("", File.ReadAllText(Target));
    }

    [Fact]
    public void A_link_is_replaced_and_not_followed()
    {
        File.WriteAllText($"{_folder}/other", "old");
        File.CreateSymbolicLink(Target, $"{_folder}/other");
        using (NewFile file = new(Target, Mode))
        {
            RandomAccess.Write(file.Handle, "new"u8, 0);
            file.Name(replace: true);
        }

        Assert.Equal("old", File.ReadAllText($"{_folder}/other"));
        Assert.Null(new FileInfo(Target).LinkTarget);
    }

    [Fact]
    public void The_name_is_given_in_the_folder_in_which_the_file_was_made()
    {
        using (NewFile file = new($"{Directory.CreateDirectory($"{_folder}/a")}/file", Mode))
        {
            Directory.Move($"{_folder}/a", $"{_folder}/b");
            Directory.CreateDirectory($"{_folder}/a");
            file.Name(replace: false);
        }

        Assert.True(File.Exists($"{_folder}/b/file"));
        Assert.False(File.Exists($"{_folder}/a/file"));
    }

    [Fact]
    public void A_folder_that_is_missing_is_an_error() => Assert.Throws<IOException>(() => new NewFile("/nowhere/at/all", Mode));
}

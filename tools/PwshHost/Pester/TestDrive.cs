namespace PwshHost.Pester;

/// <summary>$TestDrive: a temporary directory that lives as long as its spec file runs.</summary>
internal sealed class TestDrive : IDisposable
{
    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("pester-");

    public TestDrive(Scopes scopes) => scopes.Set("TestDrive", _directory.FullName);

    public void Dispose()
    {
        try
        {
            _directory.Delete(recursive: true);
        }
        catch (IOException)
        {
            // Something is still mounted or open in it: a leftover, but no test's result.
        }
    }
}
